"""The rule of the plan's file, which Terraform reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.plan_file import format_in
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding

_SHOWN = 3


@rule("plan-out-of-date", why="Terraform deploys the file, not the code.")
def out_of_date(inputs: Inputs) -> Iterator[Finding]:
    """A plan's file that differs from code and configuration."""
    if inputs.plan is None or inputs.on_disk is None:
        return
    name = inputs.on_disk.name
    before, now = inputs.on_disk.variables, inputs.plan.to_json()
    if format_in(before) != format_in(now):
        yield Finding(
            inputs.on_disk.place("tasks"),
            f"{name} is out of date: it has the format {format_in(before)}, and this version of "
            f"ucam-faas writes {format_in(now)}.",
            f"{inputs.plan_again} Take the Terraform module of the same version.",
        )
        return
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


RULES = (out_of_date,)
