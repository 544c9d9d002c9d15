"""Rules of the plans before: the file that Terraform reads, and what is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, decorated
from ucam_faas.deploy.findings import Fault

_UNCHANGEABLE = {"topic": "topic", "filter": "filter", "ordered": "message ordering"}
_SHOWN = 3


@rule("plan-out-of-date", why="Terraform deploys what the file says, not what the code says.")
def out_of_date(subject: Subject) -> Iterator[Fault]:
    """A plan's file that says something else than code and configuration."""
    if subject.plan is None or subject.on_disk is None:
        return
    name = subject.on_disk.name
    before, now = subject.on_disk.variables, subject.plan.variables
    for section in ("tasks", "topics"):
        old, new = before.get(section, {}), now[section]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                paths = list(_differences(old.get(key), new.get(key), (section, key)))
                yield Fault(
                    subject.on_disk.place(*paths[0]),
                    f"{name} is out of date: {_told(section, key, old, new, paths)}.",
                    subject.plan_again,
                    key if section == "tasks" and key in new else None,
                )
    for key in sorted((before.keys() | now.keys()) - {"tasks", "topics"}):
        if before.get(key) != now.get(key):
            yield Fault(
                subject.on_disk.place(key),
                f"{name} is out of date: {key} is {before.get(key)!r}, and should be "
                f"{now.get(key)!r}.",
                subject.plan_again,
            )


def _told(
    section: str,
    key: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    paths: list[tuple[str, ...]],
) -> str:
    thing = f"the {section.removesuffix('s')} {key!r}"
    if key not in old:
        return f"it lacks {thing}"
    if key not in new:
        return f"it has {thing}, which is no longer there"
    named = [".".join(path[2:]) for path in paths[:_SHOWN]]
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{thing} differs in {', '.join(named)}{more}"


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) or (key in old) != (key in new):
                yield from _differences(old.get(key), new.get(key), (*path, key))
    else:
        yield path


@rule(
    "subscription-replaced",
    why="Terraform deletes the subscription and makes a new one: messages that were published and "
    "not handled yet are lost.",
)
def replaced(subject: Subject) -> Iterator[Fault]:
    """A topic, filter or ordering that is not the last plan's: Pub/Sub cannot change it."""
    for one in subject.services:
        before = subject.last.tasks.get(one.task.name, {}) if subject.last else {}
        old = before.get("triggers", {}).get("subscriptions", {}).get(one.needs.name)
        new = subject.variables(one)["triggers"]["subscriptions"][one.needs.name]
        changed = [what for key, what in _UNCHANGEABLE.items() if old and old.get(key) != new[key]]
        if changed:
            yield Fault(
                decorated(one.task),
                f"The subscription of the task {one.task.name!r} has another "
                f"{' and '.join(changed)} than in the last plan.",
                "Wait until it has no messages left, and apply then; or make it a new task, and "
                "remove the old one later.",
                one.task.name,
            )


@rule("removed-while-protected", why="`terraform apply` fails: the deletion is refused.")
def removed_while_protected(subject: Subject) -> Iterator[Fault]:
    """A task of the last plan that is gone, whose service is protected from deletion."""
    if subject.plan is None or subject.last is None:
        return
    for name, task in subject.last.tasks.items():
        protected = task.get("function", {}).get("deletion_protection")
        if protected and name not in subject.plan.variables["tasks"]:
            yield Fault(
                subject.last.place("tasks", name),
                f"The task {name!r} is gone, and its deployment is protected from deletion.",
                f"Deploy it once with deletion_protection = false in [task.{name}], and remove it "
                "then.",
            )


RULES = (out_of_date, replaced, removed_while_protected)
