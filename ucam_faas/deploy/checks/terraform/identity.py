"""Which resources of Terraform are the same thing in Google Cloud: by place and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ucam_faas.deploy.checks.terraform.resources import (
    UNKNOWN,
    Resource,
    ResourceChange,
    TerraformPlan,
)

_GRANT = ("role", "member")
_NAME = ("project", "name")
_IDENTITIES = {
    "google_cloud_run_v2_job": ("project", "location", "name"),
    "google_cloud_run_v2_service": ("project", "location", "name"),
    "google_cloud_scheduler_job": ("project", "region", "name"),
    "google_monitoring_alert_policy": ("project", "display_name"),
    "google_pubsub_subscription": _NAME,
    "google_pubsub_topic": _NAME,
    "google_service_account": ("project", "account_id"),
    "google_cloud_run_v2_job_iam_member": ("project", "location", "name", *_GRANT),
    "google_cloud_run_v2_service_iam_member": ("project", "location", "name", *_GRANT),
    "google_pubsub_subscription_iam_member": ("project", "subscription", *_GRANT),
    "google_pubsub_topic_iam_member": ("project", "topic", *_GRANT),
    "google_secret_manager_secret_iam_member": ("project", "secret_id", *_GRANT),
    "google_service_account_iam_member": ("service_account_id", *_GRANT),
    "google_storage_bucket_iam_member": ("bucket", *_GRANT),
}


def moves_of(plan: TerraformPlan) -> Mapping[str, str]:
    """Return the addresses of resources that Terraform deletes, and makes again elsewhere.

    The keys are where they are now, and the values where they will be.
    """
    deleted = [change.before for change in plan.changes if _ends(change) and change.before]
    made = [change.after for change in plan.changes if _begins(change) and change.after]
    return {before.address: after.address for before, after in pairs(deleted, made)}


def pairs(old: Iterable[Resource], new: Iterable[Resource]) -> list[tuple[Resource, Resource]]:
    """Return the resources that are the same thing: one old and one new of each, or none.

    A part that is known after the apply only may be any value.
    """
    olds, news = list(old), list(new)
    same = [(before, after) for before in olds for after in news if _same(before, after)]
    return [
        pair
        for pair in same
        if sum(other[0] is pair[0] or other[1] is pair[1] for other in same) == 1
    ]


def _ends(change: ResourceChange) -> bool:
    return change.is_deleted and "create" not in change.actions


def _begins(change: ResourceChange) -> bool:
    return change.actions == ("create",)


def _same(before: Resource, after: Resource) -> bool:
    if before.type != after.type or before.type not in _IDENTITIES:
        return False
    parts = [(before.get(part), after.get(part)) for part in _IDENTITIES[before.type]]
    return all(new is UNKNOWN or _last(old) == _last(new) for old, new in parts)


def _last(name: Any) -> Any:
    """Return the last part of a full name: the provider keeps some in full."""
    return name.rpartition("/")[2] if isinstance(name, str) else name
