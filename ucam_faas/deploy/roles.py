"""Further roles of a task's account, each on one resource: `storage.objectUser on gs://reports`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ucam_faas.deploy.value_checks import shown
from ucam_faas.exceptions import TaskDefinitionError

_PROJECT = "projects/[^/ ]+"
_KINDS = {
    "storage_bucket": "gs://[a-z0-9][a-z0-9._-]+",
    "pubsub_topic": f"{_PROJECT}/topics/[^/ ]+",
    "pubsub_subscription": f"{_PROJECT}/subscriptions/[^/ ]+",
    "secret_manager_secret": f"{_PROJECT}/secrets/[^/ ]+",
    "bigquery_dataset": f"{_PROJECT}/datasets/[^/ ]+",
    "cloud_run_v2_service": f"{_PROJECT}/locations/[^/ ]+/services/[^/ ]+",
    "cloud_run_v2_job": f"{_PROJECT}/locations/[^/ ]+/jobs/[^/ ]+",
    "cloud_tasks_queue": f"{_PROJECT}/locations/[^/ ]+/queues/[^/ ]+",
    "kms_crypto_key": f"{_PROJECT}/locations/[^/ ]+/keyRings/[^/ ]+/cryptoKeys/[^/ ]+",
    "service_account": f"{_PROJECT}/serviceAccounts/[^/ ]+@[^/ ]+",
    "project": _PROJECT,
}
"""The names of resources, by the kind that Terraform's `google_KIND_iam_member` grants on."""
PROJECT_ROLES = (
    *("aiplatform.user", "bigquery.jobUser", "bigquery.readSessionUser", "cloudprofiler.agent"),
    *("cloudsql.instanceUser", "cloudtrace.agent", "cloudtranslate.user", "dlp.user"),
    *("documentai.apiUser", "monitoring.metricWriter", "telemetry.writer", "workflows.invoker"),
)
"""Roles that exist on projects only: the others are granted on the one resource that needs them."""
_FITTING = {
    "storage": {"storage_bucket"},
    "pubsub": {"pubsub_topic", "pubsub_subscription"},
    "secretmanager": {"secret_manager_secret"},
    "bigquery": {"bigquery_dataset", "project"},
    "run": {"cloud_run_v2_service", "cloud_run_v2_job"},
    "cloudtasks": {"cloud_tasks_queue"},
    "cloudkms": {"kms_crypto_key"},
}
"""The kinds of resources that a service's own roles are for."""
_ROLE = re.compile(
    r"(roles/)?[a-z][A-Za-z0-9.]+|(projects|organizations)/[^/ ]+/roles/[A-Za-z0-9_.]+"
)
_BASIC = ("owner", "editor", "viewer")


def check_role(text: Any) -> None:
    """Refuse what isn't a role on a resource of a known kind.

    Raises:
        TaskDefinitionError: with the form.
    """
    role, on = parse(text) if isinstance(text, str) else ("", "")
    if not _ROLE.fullmatch(role) or role.removeprefix("roles/") in _BASIC or kind_of(on) is None:
        raise TaskDefinitionError(
            "expected ROLE on RESOURCE, such as storage.objectUser on gs://reports, with a bucket "
            "or the full name of a topic, subscription, secret, dataset, service, Cloud Run job, "
            f"queue, key or service account; found {shown(text)}"
        )
    if kind_of(on) == "project" and role.removeprefix("roles/") not in PROJECT_ROLES:
        raise TaskDefinitionError(
            f"{role} on the whole project: grant it on the one resource that needs it. "
            f"On projects, expected one of {', '.join(PROJECT_ROLES)}; found {shown(text)}"
        )


def parse(text: str) -> tuple[str, str]:
    """Return the role, in full, and the resource.

    >>> parse("storage.objectUser on gs://reports")
    ('roles/storage.objectUser', 'gs://reports')
    """
    role, _, on = text.partition(" on ")
    return (f"roles/{role}" if role and "/" not in role else role), on


def kind_of(on: str) -> str | None:
    """Return the kind of a resource, as the provider names it; None: not a known one.

    >>> kind_of("gs://reports"), kind_of("projects/p/datasets/d"), kind_of("reports")
    ('storage_bucket', 'bigquery_dataset', None)
    """
    return next((kind for kind, form in _KINDS.items() if re.fullmatch(form, on)), None)


def fits(role: str, on: str) -> bool:
    """Return False if a predefined role is for resources of other kinds.

    >>> fits("roles/pubsub.publisher", "projects/p/topics/t")
    True
    >>> fits("roles/pubsub.publisher", "projects/p/subscriptions/s")
    False
    """
    kind, (service, _, name) = kind_of(on), role.removeprefix("roles/").partition(".")
    if (service, name) == ("pubsub", "publisher"):
        return kind == "pubsub_topic"
    if service == "iam" and name.startswith("serviceAccount"):
        return kind == "service_account"
    return kind in _FITTING.get(service, {kind}) or not role.startswith("roles/")


def in_terraform(roles: Iterable[str]) -> list[dict[str, str]]:
    """Return roles as the module has them, each once: `roles/` may be left out.

    >>> in_terraform(["storage.objectUser on gs://a", "roles/storage.objectUser on gs://a"])
    [{'role': 'roles/storage.objectUser', 'on': 'gs://a'}]
    """
    return [{"role": role, "on": on} for role, on in dict.fromkeys(map(parse, roles))]
