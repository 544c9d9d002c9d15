"""Rules of previous plans: the file that Terraform reads, and the deployed plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding

_UNCHANGEABLE = {"topic": "topic", "filter": "filter", "ordered": "message ordering"}
_SHOWN = 3


@rule("plan-out-of-date", why="Terraform deploys the file, not the code.")
def out_of_date(inputs: Inputs) -> Iterator[Finding]:
    """A plan's file that differs from code and configuration."""
    if inputs.plan is None or inputs.on_disk is None:
        return
    name = inputs.on_disk.name
    before, now = inputs.on_disk.variables, inputs.plan.to_json()
    for section in ("tasks", "topics"):
        old, new = before.get(section, {}), now[section]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                paths = list(_differences(old.get(key), new.get(key), (section, key)))
                yield Finding(
                    inputs.on_disk.place(*paths[0]),
                    f"{name} is out of date: {_difference(section, key, old, new, paths)}.",
                    inputs.plan_again,
                    key if section == "tasks" and key in new else None,
                )
    for key in sorted((before.keys() | now.keys()) - {"tasks", "topics"}):
        if before.get(key) != now.get(key):
            yield Finding(
                inputs.on_disk.place(key),
                f"{name} is out of date: {key} is {before.get(key)!r}, and should be "
                f"{now.get(key)!r}.",
                inputs.plan_again,
            )


def _difference(
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
    """Yield the paths of the values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) or (key in old) != (key in new):
                yield from _differences(old.get(key), new.get(key), (*path, key))
    else:
        yield path


@rule(
    "subscription-replaced",
    why="Terraform deletes the subscription and makes a new one: its unhandled messages are lost.",
)
def replaced(inputs: Inputs) -> Iterator[Finding]:
    """A topic, filter or ordering that differs from the last plan: Pub/Sub cannot change it."""
    for planned in inputs.services:
        before = inputs.last.tasks.get(planned.task.name, {}) if inputs.last else {}
        old = before.get("triggers", {}).get("subscriptions", {}).get(planned.needs.name)
        new = planned.needs.to_json()
        changed = [what for key, what in _UNCHANGEABLE.items() if old and old.get(key) != new[key]]
        if changed:
            yield Finding(
                decorated(planned.task),
                f"The subscription of the task {planned.task.name!r} has another "
                f"{' and '.join(changed)} than in the last plan.",
                "Apply when it has no messages left; or make it a new task, and remove the old one "
                "later.",
                planned.task.name,
            )


@rule("removed-while-protected", why="`terraform apply` fails: the deletion is refused.")
def removed_while_protected(inputs: Inputs) -> Iterator[Finding]:
    """A task of the last plan that is gone, whose service is protected from deletion."""
    if inputs.plan is None or inputs.last is None:
        return
    names = {planned.name for planned in inputs.planned}
    for name, task in inputs.last.tasks.items():
        protected = task.get("function", {}).get("deletion_protection")
        if protected and name not in names:
            yield Finding(
                inputs.last.place("tasks", name),
                f"The task {name!r} is gone, and its deployment is protected from deletion.",
                f"Deploy it once with [task.{name}] deletion_protection = false; then remove it.",
            )


RULES = (out_of_date, replaced, removed_while_protected)
