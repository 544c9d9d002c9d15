"""A plan for people: a table of what is deployed."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.deploy.plan import Plan, PlannedTask
from ucam_faas.tasks.policies import backoffs

HEADINGS = ("TASK", "RUNS AS", "TRIGGER", "RETRIES", "INSTANCES")
_SHOWN_WAITS = 4


def rows(plan: Plan) -> list[Sequence[str]]:
    """Return the table's rows: a text for each heading, of one or more lines."""
    return [
        (one.task.name, _runs_as(plan, one), _trigger(one), _retries(plan, one), _size(plan, one))
        for one in plan.tasks
    ]


def _runs_as(plan: Plan, one: PlannedTask) -> str:
    variables = plan.variables["tasks"][one.task.name]
    seconds = variables["function"]["timeout_seconds"]
    return f"{one.task.run_as} {variables['name']}\nup to {_seconds(seconds)}"


def _trigger(one: PlannedTask) -> str:
    lines = []
    if one.needs.topic is None:
        lines.append(f"HTTP {one.needs.path}")
    elif one.task.run_as == "service":
        ordered = ", ordered" * one.needs.ordered
        lines.append(f"topic {one.needs.topic}{ordered}")
        if one.needs.filter:
            lines.append(f"  where {one.needs.filter}")
    for schedule in one.needs.schedules:
        paused = " (paused)" * schedule.paused
        lines.append(f"{schedule.expression}  {schedule.time_zone}{paused}")
    return "\n".join(lines) or "started by hand"


def _retries(plan: Plan, one: PlannedTask) -> str:
    if one.needs.topic is None:
        return ""
    if one.task.run_as == "job":
        return f"{plan.variables['tasks'][one.task.name]['function']['max_retries']}, at once"
    retry = one.task.policy.retry
    waits = backoffs(retry, (retry.max_attempts or _SHOWN_WAITS + 2) - 1)
    shown = ", ".join(_seconds(wait) for wait in waits[:_SHOWN_WAITS])
    after = f"after {shown}{', …' if len(waits) > _SHOWN_WAITS else ''}"
    if retry.max_attempts is None:
        days = one.merged["message_retention_seconds"] / 86400
        return f"{after}\nfor {days:g} days, then lost"
    return f"{after}\nthen to {one.needs.dead_letter_topic}"


def _size(plan: Plan, one: PlannedTask) -> str:
    variables = plan.variables["tasks"][one.task.name]
    room = f"{variables['function']['cpu']} CPU, {variables['function']['memory']}"
    if one.task.run_as == "job":
        return f"1 for each start\n{room}"
    found = variables["concurrency"]
    at_a_time = found["max_concurrent_functions_per_instance"]
    return (
        f"{found['min_instances']} to {found['max_instances']}, {at_a_time} at a time each\n{room}"
    )


def _seconds(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
