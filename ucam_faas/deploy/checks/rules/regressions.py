"""Rules of settings that a deployed task would lose, and that messages or people rely on."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.deployed import Deployed, deployed
from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import TOPIC
from ucam_faas.deploy.checks.terraform.grants import short
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.jobs import is_sweep
from ucam_faas.deploy.terraform_variables import PlannedTask

_DAY_SECONDS = 24 * 3600
_KEY = "message_retention_seconds"
_HALF, _FEWER = 2, 10
SCHEMA = "google_pubsub_schema"


def _pairs(inputs: Inputs) -> Iterator[tuple[PlannedTask, Deployed]]:
    for planned in inputs.planned:
        now = deployed(inputs, planned)
        if now is not None:
            yield planned, now


@rule("retention-shortened", why="Pub/Sub deletes messages that have waited for longer at once.")
def retention_shortened(inputs: Inputs) -> Iterator[Finding]:
    """A subscription that would keep messages for half the time at most, and less than a day."""
    for planned, now in _pairs(inputs):
        kept, new = now.subscriptions.get(planned.needs.name), planned.merged[_KEY]
        old = kept.seconds if kept else None
        if planned.gets_messages and old and new < _DAY_SECONDS and new * _HALF <= old:
            yield Finding(
                configured(planned, _KEY),
                f"The subscription {planned.needs.name!r} keeps a message for {old:g} s "
                f"now, and {new} s after the apply.",
                "Wait until num_undelivered_messages is 0 in Cloud Monitoring, then allow it: "
                f'ignore = ["retention-shortened:{planned.name}"]. Or keep messages for a day.',
                planned.name,
            )


@rule(
    "attempts-lowered",
    why="Messages that wait for a retry have used more attempts than that: their next failure is "
    "the last.",
)
def attempts_lowered(inputs: Inputs) -> Iterator[Finding]:
    """Attempts that are lowered by half and by ten at least, for messages that wait, too."""
    for planned, now in _pairs(inputs):
        kept, new = now.subscriptions.get(planned.needs.name), planned.needs.max_attempts
        old = kept.attempts if kept else None
        if old and new and old - new >= _FEWER and new * _HALF <= old:
            yield Finding(
                decorated(planned.task),
                f"The task {planned.name!r} has {old} attempts now, and {new} after the apply.",
                "Lower them when no message waits for a retry, or replay the dead letters "
                "afterwards. Then allow it: "
                f'ignore = ["attempts-lowered:{planned.name}"].',
                planned.name,
            )


@rule(
    "account-changed",
    why="Roles that were granted to the account elsewhere, such as on a database, stay with it.",
)
def account_changed(inputs: Inputs) -> Iterator[Finding]:
    """A task that would no longer run as the existing account that was named for it."""
    for planned, now in _pairs(inputs):
        new = planned.merged["service_account"]
        if now.account is not None and new != now.account:
            yield Finding(
                configured(planned, "service_account"),
                f"The task {planned.name!r} runs as {now.account} now, and after the apply as "
                f"{new or 'an account that is made for it'}.",
                "Grant the new account the same roles first, then allow it: "
                f'ignore = ["account-changed:{planned.name}"].',
                planned.name,
            )


@rule("safeguard-removed", why="It was set on purpose, and its absence shows only when it matters.")
def safeguard_removed(inputs: Inputs) -> Iterator[Finding]:
    """Deployed tasks that would lose their key, or all channels for their incidents."""
    losers: dict[str, list[PlannedTask]] = {}
    for planned, now in _pairs(inputs):
        if now.kms_key and not planned.merged["kms_key"]:
            losers.setdefault("kms_key", []).append(planned)
        if now.has_channels and not planned.merged["alert_channels"] and not is_sweep(planned.task):
            losers.setdefault("alert_channels", []).append(planned)
    for key, tasks in losers.items():
        names = " and ".join(repr(planned.name) for planned in tasks[:3])
        others = f" and {len(tasks) - 3} more" if len(tasks) > 3 else ""
        yield Finding(
            configured(tasks[0], key),
            f"{key} is set for {names}{others} now, and not after the apply.",
            f"Set {key}, perhaps in the stage's table; or allow it: "
            f'ignore = ["safeguard-removed:{key}"].',
            tasks[0].name if len(tasks) == 1 else None,
            name=key,
        )


@rule(
    "payloads-kept-shorter",
    why="The bucket deletes large payloads and results of jobs that are still there.",
)
def payloads_kept_shorter(inputs: Inputs) -> Iterator[Finding]:
    """A bucket of payloads that would keep an object for half the time at most."""
    was, now = dict[str, int](), dict[str, tuple[int, PlannedTask]]()
    for arguments in inputs.last.tasks.values() if inputs.last else ():
        places = arguments.get("jobs")
        bucket = places.get("payloads") if isinstance(places, dict) else None
        if isinstance(bucket, dict) and isinstance(bucket.get("days"), int):
            name = str(bucket.get("bucket"))
            was[name] = max(was.get(name, 0), bucket["days"])
    for planned in inputs.planned:
        payloads = planned.jobs.payloads
        if payloads and payloads.days > now.get(payloads.name, (0, planned))[0]:
            now[payloads.name] = payloads.days, planned
    for name, (days, planned) in now.items():
        if days * _HALF <= was.get(name, 0):
            yield Finding(
                configured(planned, "longest_delay_days"),
                f"The bucket {name!r} keeps an object for {was[name]} days now, and {days} after "
                "the apply.",
                "Lower it when no job waits for longer, then allow it: "
                f'ignore = ["payloads-kept-shorter:{name}"].',
                name=name,
            )


@rule(
    "topic-schema-deleted",
    why="The provider leaves the schema on the topic, and a topic whose schema is deleted refuses "
    "all messages.",
)
def topic_schema_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A topic that stays, and whose schema `terraform apply` would delete."""
    for topic, project in _lost_schemas(inputs):
        user = next((planned for planned in inputs.planned if planned.needs.topic == topic), None)
        in_project = f" --project={project}" if project else ""
        yield Finding(
            configured(user, "topic_schema") if user else Place(),
            f"The topic {topic!r} has a schema now, and not after the apply.",
            "Detach the schema from the topic first, with the command. Then allow it: "
            f'ignore = ["topic-schema-deleted:{topic}"].',
            name=topic,
            commands=(f"gcloud pubsub topics update {topic}{in_project} --clear-schema-settings",),
        )


def _lost_schemas(inputs: Inputs) -> Iterator[tuple[str, str | None]]:
    """Yield the topics without the schema that they have now, and their project."""
    if inputs.terraform is not None:
        stay = {topic.get("name") for topic in inputs.terraform.of(TOPIC)}
        for change in inputs.terraform.changes:
            before = change.before
            if before and before.type == SCHEMA and change.actions == ("delete",):
                name = str(short(before.get("name")))
                if name in stay:
                    yield name, before.get("project")
    elif inputs.last is not None and inputs.plan is not None:
        for name, topic in inputs.last.variables.get("topics", {}).items():
            stays = inputs.plan.topics.get(name)
            if topic.get("schema") and stays and stays.schema is None:
                yield name, inputs.plan.project


RULES = (
    topic_schema_deleted,
    *(retention_shortened, attempts_lowered, account_changed, safeguard_removed),
    payloads_kept_shorter,
)
