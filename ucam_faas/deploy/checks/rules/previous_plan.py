"""Rules of the plan's file, which Terraform reads."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.plan_file import PlanFile, format_in
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding, Place

_SHOWN = 3


@rule("plan-out-of-date", why="Terraform deploys the file, not the code.")
def out_of_date(inputs: Inputs) -> Iterator[Finding]:
    """A plan's file that differs from code and configuration."""
    if inputs.plan is None or inputs.on_disk is None:
        return
    if any(inputs.on_disk is file for file, _ in inputs.misplaced):
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
    differences = sorted(
        _all_differences(inputs.on_disk, now), key=lambda each: each.place.line or 0
    )
    if differences:
        texts, tasks = [each.text for each in differences], {each.task for each in differences}
        listed = f" {texts[0]}." if len(texts) == 1 else "".join(f"\n- {text}" for text in texts)
        yield Finding(
            differences[0].place,
            f"{name} is out of date:{listed}",
            inputs.plan_again,
            tasks.pop() if len(tasks) == 1 else None,
        )


@rule(
    "plan-of-another-stage",
    why="Nothing was compared with it: the two stages are different things.",
)
def of_another_stage(inputs: Inputs) -> Iterator[Finding]:
    """A plan's file with the project and prefix of another stage than the one that is checked."""
    for file, stage in inputs.misplaced:
        project = file.variables["project"]
        checked = "without --stage" if inputs.stage is None else f"of the stage {inputs.stage!r}"
        yield Finding(
            file.place("project"),
            f"{file.name} is the plan of the stage {stage!r}, for {project}, and the check is "
            f"{checked}.",
            f"Check that stage: --stage {shlex.quote(stage)}. Or name this stage's own file with "
            "--plan or --against. If it moves to where that one is, move that one first.",
        )


class _Difference(NamedTuple):
    place: Place
    text: str
    task: str | None = None
    """The task in the new plan whose values differ."""


def _all_differences(on_disk: PlanFile, now: Mapping[str, Any]) -> Iterator[_Difference]:
    before = on_disk.variables
    for section in ("tasks", "topics"):
        old, new = before.get(section, {}), now[section]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                paths = list(_differences(old.get(key), new.get(key), (section, key)))
                yield _Difference(
                    on_disk.place(*paths[0]),
                    _difference(section, key, old, new, paths),
                    key if section == "tasks" and key in new else None,
                )
    for key in sorted((before.keys() | now.keys()) - {"tasks", "topics"}):
        if before.get(key) != now.get(key):
            is_now = "isn't set" if before.get(key) is None else f"is {before[key]!r}"
            wanted = "shouldn't be set" if now.get(key) is None else f"should be {now[key]!r}"
            yield _Difference(on_disk.place(key), f"{key} {is_now}, and {wanted}")


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


RULES = (out_of_date, of_another_stage)
