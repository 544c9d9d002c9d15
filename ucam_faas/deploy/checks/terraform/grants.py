"""The grants in Terraform's plan: roles of members on resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource, TerraformPlan, Unknown

ALL = ("allUsers", "allAuthenticatedUsers")
ABOVE = ("project", "folder", "organization")
INVOKER = ("roles/run.invoker", "roles/run.admin")
TOKEN = ("roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountOpenIdTokenCreator")
PUBLISHER = ("roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin")
SUBSCRIBER = ("roles/pubsub.subscriber", "roles/pubsub.editor", "roles/pubsub.admin")
SECRETS = ("roles/secretmanager.secretAccessor", "roles/secretmanager.admin")
DATABASE = ("roles/datastore.user", "roles/datastore.owner")
ENQUEUER = ("roles/cloudtasks.enqueuer", "roles/cloudtasks.admin")
CLOUD_SQL = ("roles/cloudsql.client", "roles/cloudsql.editor", "roles/cloudsql.admin")
OBJECTS = ("roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin")
READ_OBJECTS = ("roles/storage.objectViewer", *OBJECTS)
ACT_AS = ("roles/iam.serviceAccountUser",)
OF_PROJECTS = frozenset(
    f"roles/{role}"
    for role in (
        *("cloudsql.client", "cloudsql.instanceUser", "datastore.user", "datastore.viewer"),
        *("cloudtrace.agent", "cloudprofiler.agent", "errorreporting.writer", "logging.logWriter"),
        *(
            "monitoring.metricWriter",
            "monitoring.viewer",
            "opsconfigmonitoring.resourceMetadata.writer",
        ),
        *("telemetry.writer", "telemetry.tracesWriter", "telemetry.metricsWriter"),
        *("bigquery.jobUser", "bigquery.readSessionUser", "serviceusage.serviceUsageConsumer"),
        *("aiplatform.user", "cloudtranslate.user", "dlp.user", "documentai.apiUser"),
        *(
            "eventarc.eventReceiver",
            "workflows.invoker",
            "redis.dbConnectionUser",
            "vpcaccess.user",
        ),
        *("recaptchaenterprise.agent", "cloudscheduler.jobRunner"),
    )
)
"""Roles that can't be granted on anything below a project. Google's page "IAM roles and
permissions" names the lowest-level resource of each; databases of Firestore and instances of Cloud
SQL have no policies of their own."""

_GRANT = re.compile(r"google_(?P<on>\w+?)_iam_(?:member|binding|policy)")
_ON = {
    "cloud_run_v2_service": "name",
    "cloud_run_v2_job": "name",
    "pubsub_topic": "topic",
    "pubsub_subscription": "subscription",
    "secret_manager_secret": "secret_id",
    "service_account": "service_account_id",
    "storage_bucket": "bucket",
    "cloud_tasks_queue": "name",
    "bigquery_dataset": "dataset_id",
    "kms_crypto_key": "crypto_key_id",
    **{kind: kind for kind in ABOVE},
}
_CONDITIONS = {
    kind: re.compile(
        rf"""resource\.name == (["'])projects/[^/"']+/{collection}/(?P<on>[^/"']+)\1"""
        r"""( && resource\.(type|service) == ["'][^"']+["'])*"""
    )
    for kind, collection in (
        ("firestore_database", "databases"),
        ("cloud_sql_instance", "instances"),
    )
}
"""By kind: the condition that limits a role on a project to a single resource."""
_SEVERAL = ("group:", "domain:", "principalSet:")
"""Members whose accounts the plan does not name."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of members on a resource.

    Args:
        kind: of the resource, such as "pubsub_topic".
        on: the short name of the resource; of an account, the email.
        members: emails, and entries of ALL.
    """

    resource: Resource
    kind: str
    on: str | Unknown
    role: str | Unknown
    members: tuple[str | Unknown, ...]

    @property
    def is_lowest(self) -> bool:
        """True if the role can't be granted on less than the whole project."""
        return self.kind == "project" and self.role in OF_PROJECTS

    def gives(self, kind: str, on: Any, roles: tuple[str, ...], member: str | Unknown) -> bool:
        """Return True if it gives a member one of these roles; an unknown value may match."""
        custom = not str(self.role).startswith("roles/")
        return (
            self.kind == kind
            and (UNKNOWN in (self.on, on) or self.on == short(on))
            and (custom or self.role in roles)
            and (
                UNKNOWN in (member, *self.members)
                or member in self.members
                or not {*ALL}.isdisjoint(self.members)
            )
        )


@lru_cache(maxsize=2)
def grants_of(plan: TerraformPlan) -> Sequence[Grant]:
    """Return the grants."""
    return tuple(_grants(plan))


def _grants(plan: TerraformPlan) -> Iterator[Grant]:
    on: Any
    for resource in plan.resources:
        match = _GRANT.fullmatch(resource.type)
        if not match:
            continue
        kind = match["on"]
        limited = _limited(resource) if kind == "project" else None
        if limited:
            kind, on = limited
        elif kind == "service_account":
            on = plan.account(resource, _ON[kind])
        else:
            on = resource.get(_ON[kind]) if kind in _ON else UNKNOWN
        yield Grant(
            resource,
            kind,
            short(on),
            UNKNOWN if resource.get("role") is None else resource.get("role"),
            tuple(_members(plan, resource)),
        )


def _limited(grant: Resource) -> tuple[str, str] | None:
    """Return the kind and the name of the only resource that a grant on a project is for."""
    condition = str(grant.get("condition", "expression"))
    for kind, form in _CONDITIONS.items():
        if match := form.fullmatch(condition):
            return kind, match["on"]
    return None


def _members(plan: TerraformPlan, resource: Resource) -> Iterator[str | Unknown]:
    several = resource.get("members")
    members = several if isinstance(several, list) else [resource.get("member")]
    for member in members:
        if member is UNKNOWN:
            yield plan.account(resource, "member") or UNKNOWN
        elif member is None or str(member).startswith(_SEVERAL):
            yield UNKNOWN
        else:
            yield str(member).rpartition(":")[2]


def short(name: Any) -> Any:
    """Return the last part of a full name."""
    return name.rpartition("/")[2] if isinstance(name, str) else name


def is_agent(member: str | Unknown) -> bool:
    """Return True if a member is, or may be, Pub/Sub's service agent."""
    return member is UNKNOWN or "@gcp-sa-pubsub." in str(member)
