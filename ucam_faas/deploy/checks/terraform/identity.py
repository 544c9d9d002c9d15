"""Which resources of Terraform are the same thing in Google Cloud: by place and name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ucam_faas.deploy.checks.terraform.resources import (
    UNKNOWN,
    Resource,
    TerraformPlan,
)

_GRANT = ("role", "member")
_NAME = ("project", "name")
IDENTITIES = {
    "google_cloud_run_v2_job": ("project", "location", "name"),
    "google_cloud_run_v2_service": ("project", "location", "name"),
    "google_cloud_run_v2_worker_pool": ("project", "location", "name"),
    "google_cloud_scheduler_job": ("project", "region", "name"),
    "google_cloud_tasks_queue": ("project", "location", "name"),
    "google_compute_backend_service": _NAME,
    "google_compute_global_address": _NAME,
    "google_compute_global_forwarding_rule": _NAME,
    "google_compute_managed_ssl_certificate": _NAME,
    "google_compute_region_network_endpoint_group": ("project", "region", "name"),
    "google_compute_ssl_policy": _NAME,
    "google_compute_target_https_proxy": _NAME,
    "google_compute_url_map": _NAME,
    "google_firestore_database": _NAME,
    "google_firestore_field": ("project", "database", "collection", "field"),
    "google_firestore_index": ("project", "database", "collection", "fields"),
    "google_monitoring_alert_policy": ("project", "display_name"),
    "google_pubsub_schema": _NAME,
    "google_pubsub_subscription": _NAME,
    "google_pubsub_topic": _NAME,
    "google_service_account": ("project", "account_id"),
    "google_storage_bucket": ("name",),
    "google_bigquery_dataset_iam_member": ("project", "dataset_id", *_GRANT),
    "google_cloud_run_v2_job_iam_member": ("project", "location", "name", *_GRANT),
    "google_cloud_run_v2_service_iam_member": ("project", "location", "name", *_GRANT),
    "google_cloud_tasks_queue_iam_member": ("project", "location", "name", *_GRANT),
    "google_kms_crypto_key_iam_member": ("crypto_key_id", *_GRANT),
    "google_project_iam_member": ("project", "condition", *_GRANT),
    "google_pubsub_subscription_iam_member": ("project", "subscription", *_GRANT),
    "google_pubsub_topic_iam_member": ("project", "topic", *_GRANT),
    "google_secret_manager_secret_iam_member": ("project", "secret_id", *_GRANT),
    "google_service_account_iam_member": ("service_account_id", *_GRANT),
    "google_storage_bucket_iam_member": ("bucket", *_GRANT),
}
_ACCOUNTS = ("member", "service_account_id")
"""Parts that name an account."""


def moves_of(plan: TerraformPlan) -> Mapping[str, str]:
    """Return the addresses of resources that Terraform deletes, and makes again elsewhere.

    The keys are where they are now, and the values where they will be.
    """
    deleted = [
        change.before
        for change in plan.changes
        if change.before and change.is_deleted and "create" not in change.actions
    ]
    return {before.address: after.address for before, after in pairs(deleted, made_by(plan), plan)}


def made_by(plan: TerraformPlan) -> list[Resource]:
    """Return the resources that a plan makes, but not in place of others."""
    return [
        change.after for change in plan.changes if change.after and change.actions == ("create",)
    ]


def pairs(
    old: Iterable[Resource], new: Iterable[Resource], plan: TerraformPlan
) -> list[tuple[Resource, Resource]]:
    """Return the resources that are the same thing: one old and one new of each, or none.

    A part that is known after the apply only may be any value.

    Args:
        plan: that makes the new ones.
    """
    code = {resource.address: resource for resource in plan.resources}
    news = [(after, _parts(after, code.get(after.address), plan)) for after in new]
    same = [
        (before, after)
        for before in old
        for after, parts in news
        if before.type == after.type and _same(_parts(before, None, plan), parts)
    ]
    return [
        pair
        for pair in same
        if sum(other[0] is pair[0] or other[1] is pair[1] for other in same) == 1
    ]


def _parts(resource: Resource, code: Resource | None, plan: TerraformPlan) -> list[Any]:
    """Return the parts of an identity; the code may tell an account that isn't known yet."""
    parts = []
    for name in IDENTITIES.get(resource.type, ()):
        value: Any = resource.get(name)
        if value is UNKNOWN and name in _ACCOUNTS and code is not None:
            value = plan.account(code, name)
        short = _SHORT.get(name, _last)
        parts.append(short(value) if value else value)
    return parts


def _last(value: Any) -> Any:
    """Return the last part of a name: some are full ones, in a state or in the code."""
    return re.split("[/:]", value)[-1] if isinstance(value, str) else value


_SHORT: Mapping[str, Callable[[Any], Any]] = {
    "condition": lambda blocks: blocks[0]["expression"],
    # Two rings may have keys of one name.
    "crypto_key_id": lambda name: name,
    # Firestore adds __name__ to an index.
    "fields": lambda blocks: [
        block["field_path"] for block in blocks if block["field_path"] != "__name__"
    ],
}
"""How to shorten the parts that aren't names."""


def _same(old: list[Any], new: list[Any]) -> bool:
    return bool(old) and all(
        after is UNKNOWN or before == after for before, after in zip(old, new, strict=True)
    )
