"""The changes from the last plan to the new one, without Terraform.

An inventory is what a plan deploys: its parts that hold or carry messages. Plans of format 1 and 2
(see `plan_file`) have equal inventories if they deploy the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ucam_faas.deploy.checks.changes import KINDS_OF_TASKS, Change, Kind, Retries, shorter
from ucam_faas.deploy.checks.job_stores import stores_in
from ucam_faas.deploy.checks.plan_file import PlanFile, format_of
from ucam_faas.tasks.topics import OWN_DEAD_LETTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a deployment.

    Args:
        path: of the key in the plan that makes it.
        fixed: attributes that can't change in place.
        retries: None: a message never becomes a dead letter.
    """

    kind: Kind
    name: str
    path: tuple[str, ...]
    fixed: Mapping[str, Any]
    owner: str | None = None
    protected: bool = False
    topic: str | None = None
    retries: Retries | None = None


Inventory = dict[tuple[Kind, str], Part]

_KINDS: Mapping[str, Kind] = {**KINDS_OF_TASKS, "job": "Cloud Run job"}
"""By the value of `run_as`, and by an earlier name of one."""


def inventory_of(variables: Mapping[str, Any]) -> Inventory:
    """Return the parts that a plan deploys, by kind and name."""
    parts = (
        *_parts_of_topics(variables),
        *_parts_of_tasks(variables),
        *_stores_of_tasks(variables),
    )
    return {(part.kind, part.name): part for part in parts}


def changes_between(last: PlanFile, new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the deletions that lead from the last plan to a new one.

    Args:
        new: the variables of the new plan.
    """
    after, project = inventory_of(new), last.variables.get("project")
    for key, part in inventory_of(last.variables).items():
        successor = after.get(key)
        causes = () if successor is None else tuple(_differences(part.fixed, successor.fixed))
        if causes or (successor is None and part.kind != "push grant"):
            yield Change(
                kind=part.kind,
                name=part.name,
                place=last.place(*part.path),
                replaced=successor is not None,
                causes=causes,
                project=project,
                topic=part.topic,
                owner=part.owner,
                protected=part.protected,
                retries=shorter(part.retries, successor.retries if successor else None),
            )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the attributes that differ, as far as both values are known."""
    for name, value in old.items():
        if None not in (value, new[name]) and value != new[name]:
            yield name


def _parts_of_topics(variables: Mapping[str, Any]) -> Iterator[Part]:
    project = variables.get("project")
    for name, topic in variables.get("topics", {}).items():
        path, owner = ("topics", name), _owner_of_dead_letters(name, variables)
        protected = topic.get("deletion_protection") is True
        kept = topic.get("dead_letter_subscription")  # of format 2
        if topic.get("dead_letters"):  # of format 1
            kept = f"{name}-kept"
        archive = f"{name}-archive" if topic.get("archive") else None
        yield from _topic(name, kept, archive, path, project, owner=owner, protected=protected)


def _owner_of_dead_letters(topic: str, variables: Mapping[str, Any]) -> str | None:
    owner = topic.removesuffix(OWN_DEAD_LETTERS)
    return owner if owner != topic and owner in variables["tasks"] else None


def _topic(
    name: str,
    kept: str | None,
    archive: str | None,
    path: tuple[str, ...],
    project: str | None,
    *,
    owner: str | None,
    protected: bool,
) -> Iterator[Part]:
    """Yield a topic, the subscription that keeps its messages, and that which archives them."""
    fixed = {"project": project}
    yield Part(kind="topic", name=name, path=path, fixed=fixed, owner=owner, protected=protected)
    subscriptions: dict[Kind, str | None] = {"dead letters": kept, "archive": archive}
    for kind, subscription in subscriptions.items():
        if subscription is not None:
            yield Part(
                kind=kind,
                name=subscription,
                path=path,
                fixed=fixed,
                topic=name,
                owner=owner,
                protected=protected,
            )


def _parts_of_tasks(variables: Mapping[str, Any]) -> Iterator[Part]:
    project, region = variables.get("project"), variables.get("region")
    for task, arguments in variables["tasks"].items():
        path, function = ("tasks", task), arguments.get("function", {})
        name = str(arguments.get("name"))
        kind = _KINDS.get(function.get("run_as"), "service")
        protected = function.get("deletion_protection") is True
        place = {"project": project, "region": region}
        yield Part(
            kind=kind,
            name=name,
            path=path,
            fixed=place,
            owner=task,
            protected=protected,
        )
        subscriptions = arguments.get("triggers", {}).get("subscriptions", {})
        for subscription, needs in subscriptions.items():
            if needs.get("existing"):  # another owner's
                continue
            yield from _subscription(subscription, needs, variables, task)
        if subscriptions and kind == "service":  # one grant for all of them
            account = "the task's" if format_of(arguments) == 1 else "the collection's"
            retries = [_retries(*named) for named in subscriptions.items()]
            yield Part(
                kind="push grant",
                name=name,
                path=path,
                fixed={**place, "account": account},
                owner=task,
                retries=next(filter(None, retries), None),  # an inbox has no dead letters
            )


def _stores_of_tasks(variables: Mapping[str, Any]) -> Iterator[Part]:
    for task, arguments in variables["tasks"].items():
        function = arguments.get("function", {})
        environment, secrets = (function.get(name) or {} for name in ("environment", "secrets"))
        of_secrets = {name: (secret.get("secret"),) for name, secret in secrets.items()}
        for variable, kind, store in stores_in({**environment, **of_secrets}):
            table = "environment" if variable in environment else "secrets"
            path = ("tasks", task, "function", table, variable)
            yield Part(kind=kind, name=store, path=path, fixed={})


def _subscription(
    name: str, needs: Mapping[str, Any], variables: Mapping[str, Any], task: str
) -> Iterator[Part]:
    project, arguments = variables.get("project"), variables["tasks"][task]
    protected = arguments.get("function", {}).get("deletion_protection") is True
    path = ("tasks", task, "triggers", "subscriptions", name)
    topic = _short(str(needs.get("topic")), project)
    yield Part(
        kind="subscription",
        name=name,
        path=path,
        fixed={
            "topic": topic,
            "filter": needs.get("filter") or "",
            "ordering": bool(needs.get("ordered")),
            "project": project,
        },
        topic=topic,
        owner=task,
        protected=protected and format_of(arguments) > 1,
    )
    letters = needs.get("dead_letter")
    if letters and letters.get("topic") is None:  # of format 1: made beside the subscription
        own = f"{name}{OWN_DEAD_LETTERS}"
        archive = f"{own}-archive" if arguments.get("dead_letter_archive") else None
        yield from _topic(own, own, archive, path, project, owner=task, protected=False)


def _short(topic: str, project: str | None) -> str:
    """Return a topic's short name if it is in the plan's project, or may be."""
    parts = topic.split("/")
    return parts[-1] if len(parts) == 1 or project in (None, parts[1]) else topic


def _retries(subscription: str, needs: Mapping[str, Any]) -> Retries | None:
    retry, letters = needs.get("retry") or {}, needs.get("dead_letter")
    if not letters:
        return None
    return Retries(
        subscription=subscription,
        dead_letter_topic=letters.get("topic") or f"{subscription}{OWN_DEAD_LETTERS}",
        least_seconds=retry.get("min_backoff_seconds", 0),
        most_seconds=retry.get("max_backoff_seconds", 0),
        attempts=letters.get("max_attempts", 1),
    )
