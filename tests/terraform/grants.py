"""The IAM grants of a plan or a state: account, role and resource.

Service accounts are named by the part before the @, Pub/Sub's own by `Pub/Sub`, and roles without
`roles/`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .answers import Resource, Snapshot

KINDS = {
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_cloud_tasks_queue_iam_member": ("queue", "name"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_kms_crypto_key_iam_member": ("key", "crypto_key_id"),
}
"""Grants on one resource: their type, the resource's kind, and the attribute that names it."""

_BROAD = re.compile(r"google_(project|folder|organization|billing_account)_iam_\w+")
_ONE = re.compile(
    r'resource\.name == "projects/[^/"]+/(?P<kind>database|instance)s/(?P<name>[^/"]+)"'
    r'( && resource\.type == "sqladmin\.googleapis\.com/Instance")?'
)
"""A condition that limits a role on a project to one database, or one instance of Cloud SQL."""
_OF_PROJECTS = ("roles/cloudtrace.agent", "roles/monitoring.metricWriter")
"""Roles that exist on projects only: they let the collector write, and read nothing."""
_AUTHORITATIVE = re.compile(r"google_\w+_iam_(policy|binding)")
_ANYBODY = ("allUsers", "allAuthenticatedUsers")
_BASIC = ("roles/owner", "roles/editor", "roles/viewer")
_PUBSUB_AGENT = re.compile(r"serviceAccount:service-\d+@gcp-sa-pubsub\.iam\.gserviceaccount\.com")
_ACCOUNT = re.compile(r"serviceAccount:([^@]+)@[^@]+\.iam\.gserviceaccount\.com")


class Grant(NamedTuple):
    """One account, one role, one resource."""

    who: str
    role: str
    on: str


def grants_in(snapshot: Snapshot) -> set[Grant]:
    """Return the grants on single resources, with a placeholder for unknown values."""
    return {
        _grant(resource)
        for resource in snapshot.resources
        if resource.type in KINDS
        or _ONE.fullmatch(_condition(resource))
        or _is_of_project(resource)
    }


def broad_grants_in(snapshot: Snapshot) -> list[str]:
    """Return the resources that grant too much or revoke others' grants, each with its reason."""
    return [
        f"{resource.address}: {fault}"
        for resource in snapshot.resources
        if (fault := _breadth(resource)) is not None
    ]


def _grant(resource: Resource) -> Grant:
    if limit := _ONE.fullmatch(_condition(resource)):
        kind, full = limit["kind"], limit["name"]
    elif _is_of_project(resource):
        kind, full = "project", str(resource.values["project"])
    else:
        kind, attribute = KINDS[resource.type]
        full = str(resource.values.get(attribute, "(known after apply)"))
    name = full.rpartition("/")[2].partition("@")[0]
    return Grant(
        _who(str(resource.values.get("member"))),
        str(resource.values["role"]).removeprefix("roles/"),
        f"{kind} {name}",
    )


def _who(member: str) -> str:
    if _PUBSUB_AGENT.fullmatch(member):
        return "Pub/Sub"
    match = _ACCOUNT.fullmatch(member)
    return match[1] if match else member


def _condition(resource: Resource) -> str:
    conditions = resource.values.get("condition") or [{"expression": ""}]
    return str(conditions[0]["expression"])


def _is_of_project(resource: Resource) -> bool:
    return resource.type == "google_project_iam_member" and resource.values["role"] in _OF_PROJECTS


def _breadth(resource: Resource) -> str | None:
    if resource.mode != "managed":
        return None
    if _BROAD.fullmatch(resource.type):
        if _ONE.fullmatch(_condition(resource)) or _is_of_project(resource):
            return None
        return "a grant on more than one resource"
    if _AUTHORITATIVE.fullmatch(resource.type):
        return "removes what others granted"
    if resource.type == "google_service_account_key":
        return "a key can be copied, and does not expire"
    if resource.values.get("member") in _ANYBODY:
        return "a grant to anybody"
    if resource.values.get("role") in _BASIC:
        return "a basic role"
    if "_iam_" in resource.type and resource.type not in KINDS:
        return "a kind of grant that this test does not know"
    return None
