"""The grants that a resource needs before it is made; without them its first messages are refused.

They are read from a state, which holds every name and the order in which the resources were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .answers import Resource, Snapshot

_INDEX = re.compile(r"\[[^\]]*\]")
_PUBSUB = "@gcp-sa-pubsub.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class Need:
    """A grant that a resource needs."""

    of: Resource
    type: str
    role: str
    member: str
    """The end of the member's name."""
    on: dict[str, str]
    """The attribute that names the granted resource, and the end of its value."""

    def is_met_by(self, grant: Resource) -> bool:
        """Return True if this is the grant."""
        return (
            grant.type == self.type
            and str(grant.values["role"]).startswith(self.role)
            and str(grant.values["member"]).endswith(self.member)
            and all(str(grant.values[name]).endswith(end) for name, end in self.on.items())
        )


def unmet_needs(state: Snapshot) -> list[str]:
    """Return the grants that are missing, or made after the resources that need them."""
    return [
        f"{need.of.address} needs {need.role} for {need.member} on {need.on} {fault}"
        for resource in state.resources
        for need in _needs(resource)
        if (fault := _fault(need, state))
    ]


def _fault(need: Need, state: Snapshot) -> str | None:
    grants = [resource for resource in state.resources if need.is_met_by(resource)]
    if not grants:
        return "and nothing grants it"
    earlier = {_INDEX.sub("", address) for address in need.of.depends_on}
    if not any(_INDEX.sub("", grant.address) in earlier for grant in grants):
        return "before it is made"
    return None


def _needs(resource: Resource) -> Iterator[Need]:
    if resource.type == "google_pubsub_subscription":
        for push in resource.values["push_config"]:
            yield from _of_push(resource, push)
        for policy in resource.values["dead_letter_policy"]:
            yield _of_dead_letters(resource, policy)
        for archive in resource.values["cloud_storage_config"]:
            yield from _of_archive(resource, archive)
    if resource.type.startswith("google_cloud_run_v2_") and "template" in resource.values:
        yield from _of_volumes(resource)
    if resource.type == "google_cloud_run_v2_worker_pool":
        yield from _of_worker(resource)
    if resource.type == "google_cloud_scheduler_job":
        for target in resource.values["http_target"]:
            yield _of_job_schedule(resource, target)


def _of_push(resource: Resource, push: dict[str, Any]) -> Iterator[Need]:
    [token] = push["oidc_token"]
    email = token["service_account_email"]
    yield Need(resource, "google_cloud_run_v2_service_iam_member", "roles/run.invoker", email, {})
    yield _signed_by_pubsub(resource, email)


def _of_dead_letters(resource: Resource, policy: dict[str, Any]) -> Need:
    topic = policy["dead_letter_topic"].rpartition("/")[2]
    type_name = "google_pubsub_topic_iam_member"
    return Need(resource, type_name, "roles/pubsub.publisher", _PUBSUB, {"topic": topic})


def _of_archive(resource: Resource, archive: dict[str, Any]) -> Iterator[Need]:
    bucket, email = archive["bucket"], archive["service_account_email"]
    for role in ("roles/storage.objectCreator", "roles/storage.legacyBucketReader"):
        yield Need(resource, "google_storage_bucket_iam_member", role, email, {"bucket": bucket})
    yield _signed_by_pubsub(resource, email)


def _signed_by_pubsub(resource: Resource, email: str) -> Need:
    """Both roles that let Pub/Sub create an account's tokens begin like this."""
    role, on = "roles/iam.serviceAccount", {"service_account_id": email}
    return Need(resource, "google_service_account_iam_member", role, _PUBSUB, on)


def _of_worker(resource: Resource) -> Iterator[Need]:
    email = resource.values["template"][0]["service_account"]
    for role in ("roles/pubsub.subscriber", "roles/pubsub.viewer"):
        yield Need(resource, "google_pubsub_subscription_iam_member", role, email, {})


def _of_volumes(resource: Resource) -> Iterator[Need]:
    [template] = resource.values["template"]
    [template] = template.get("template") or [template]  # a Cloud Run job has a second one
    email = template["service_account"]
    for volume in template["volumes"]:
        for bucket in volume["gcs"]:
            kind, on = "google_storage_bucket_iam_member", {"bucket": bucket["bucket"]}
            yield Need(resource, kind, "roles/storage.object", email, on)
        for sockets in volume["cloud_sql_instance"]:
            for instance in sockets["instances"]:
                on = {"project": instance.rsplit(":", 2)[0]}
                yield Need(
                    resource, "google_project_iam_member", "roles/cloudsql.client", email, on
                )


def _of_job_schedule(resource: Resource, target: dict[str, Any]) -> Need:
    [token] = target["oauth_token"]
    job = re.sub(r".*/jobs/(.*):run", r"\1", target["uri"])
    type_name = "google_cloud_run_v2_job_iam_member"
    email = token["service_account_email"]
    return Need(resource, type_name, "roles/run.invoker", email, {"name": job})
