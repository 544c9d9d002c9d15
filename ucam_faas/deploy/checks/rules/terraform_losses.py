"""The rule of things that Terraform would delete, and that tasks need afterwards, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import Deployment, deployments
from ucam_faas.deploy.checks.terraform.grants import short
from ucam_faas.deploy.checks.terraform.identity import moves_of
from ucam_faas.deploy.checks.terraform.resources import Resource, email_of
from ucam_faas.deploy.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Uses:
    """Everything that a task names after the apply.

    Args:
        texts: of its resource, its jobs and its alerts.
        secrets: short names and versions.
    """

    texts: frozenset[str]
    secrets: frozenset[tuple[str, str]]
    apis: frozenset[str]

    def mentions(self, name: Any) -> bool:
        return isinstance(name, str) and any(name in text for text in self.texts)

    def has(self, *names: Any) -> bool:
        return not self.texts.isdisjoint(name for name in names if isinstance(name, str))

    def has_secret(self, secret: Any, version: Any = None) -> bool:
        return any(
            name == short(secret) and version in (None, its_version)
            for name, its_version in self.secrets
        )


def _uses(deployment: Deployment) -> _Uses:
    planned, environ = deployment.planned, deployment.environ
    places = planned.jobs
    named = {places.firestore, places.queue, planned.merged["dead_letter_archive"]}
    named |= {*planned.merged["alert_channels"], places.payloads and places.payloads.name}
    texts = {*_texts(deployment.run.values.get("template")), *filter(None, named)}
    secrets = {tuple(value) for value in environ.values() if isinstance(value, tuple)}
    apis = {"run.googleapis.com", "iam.googleapis.com"}
    apis |= {"pubsub.googleapis.com"} if planned.gets_messages or planned.publishes_to else set()
    apis |= {"cloudscheduler.googleapis.com"} if planned.schedules else set()
    apis |= {"secretmanager.googleapis.com"} if secrets else set()
    apis |= {"cloudtasks.googleapis.com"} if places.queue else set()
    apis |= {"firestore.googleapis.com"} if places.firestore else set()
    return _Uses(
        texts=frozenset(texts),
        secrets=frozenset((str(short(name)), str(version)) for name, version in secrets),
        apis=frozenset(apis),
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


_KINDS: Mapping[str, Callable[[Resource, _Uses], bool]] = {
    "secret_manager_secret": lambda it, uses: uses.has_secret(it.get("secret_id")),
    "secret_manager_secret_version": lambda it, uses: uses.has_secret(
        it.get("secret"), str(it.get("version"))
    ),
    "storage_bucket": lambda it, uses: uses.has(it.get("name"), f"gs://{it.get('name')}"),
    "firestore_database": lambda it, uses: uses.has(
        f"projects/{it.get('project')}/databases/{it.get('name')}"
    ),
    "cloud_tasks_queue": lambda it, uses: uses.has(
        f"projects/{it.get('project')}/locations/{it.get('location')}/queues/{it.get('name')}"
    ),
    "sql_database_instance": lambda it, uses: uses.mentions(it.get("connection_name")),
    "redis_instance": lambda it, uses: uses.mentions(it.get("host")),
    "vpc_access_connector": lambda it, uses: uses.has(it.get("id"), it.get("self_link")),
    "kms_crypto_key": lambda it, uses: uses.has(it.get("id")),
    "artifact_registry_repository": lambda it, uses: uses.mentions(
        f"{it.get('location')}-docker.pkg.dev/{it.get('project')}/{it.get('repository_id')}/"
    ),
    "monitoring_notification_channel": lambda it, uses: uses.has(it.get("name")),
    "service_account": lambda it, uses: uses.has(email_of(it)),
    "project_service": lambda it, uses: (
        it.get("service") in uses.apis and it.get("disable_on_destroy") is not False
    ),
}


@rule("used-deleted", why="The task fails without it, and the data in it are lost.")
def used_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A secret, bucket, database, queue, key, connector, image repository, account, channel or API
    that `terraform apply` would delete or replace, and that a task uses afterwards.
    """
    if inputs.terraform is None:
        return
    moves = moves_of(inputs.terraform)
    uses = {deployment.planned.name: _uses(deployment) for deployment in deployments(inputs)}
    for change in inputs.terraform.changes:
        before = change.before
        if before is None or not change.is_deleted or before.address in moves:
            continue
        kind = before.type.removeprefix("google_")
        is_used = _KINDS.get(kind)
        users = [name for name, use in uses.items() if is_used and is_used(before, use)]
        if users and before.get("deletion_policy") != "ABANDON":
            verb = "replace" if "create" in change.actions else "delete"
            name = str(short(before.get("name") or before.get("service") or before.address))
            yield Finding(
                before.place,
                f"`terraform apply` would {verb} {before.address}, and {_named(users)} "
                "use it afterwards, too.",
                "Keep it. If it has to go, move the tasks to another first, in an apply before; "
                f'or allow it: ignore = ["used-deleted:{name}"].',
                users[0] if len(users) == 1 else None,
                name=name,
            )


def _named(users: list[str]) -> str:
    shown = " and ".join(map(repr, users[:2]))
    return f"the tasks {shown}{' and others' if len(users) > 2 else ''}"


RULES = (used_deleted,)
