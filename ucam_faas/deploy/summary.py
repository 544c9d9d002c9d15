"""A plan for people: a table of the tasks that it deploys."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.deploy.terraform_variables import Plan, PlannedTask
from ucam_faas.tasks.policies import backoffs

HEADINGS = ("TASK", "RUNS AS", "TRIGGER", "RETRIES", "INSTANCES")
_SHOWN_WAITS = 4


def rows(plan: Plan) -> list[Sequence[str]]:
    """Return the table's rows: a text for each heading, of one or more lines."""
    return [
        (task.name, _runs_as(task), _trigger(task), _retries(task), _size(task))
        for task in plan.tasks
    ]


def _runs_as(planned: PlannedTask) -> str:
    limit = _seconds(planned.timeout_seconds)
    return f"{planned.task.run_as} {planned.service}\nup to {limit}"


def _trigger(planned: PlannedTask) -> str:
    needs, lines = planned.needs, []
    if needs.topic is None:
        lines.append(f"HTTP {needs.path}")
    elif planned.gets_messages:
        ordered = ", ordered" * needs.ordered
        existing = needs.subscription and f"subscription {needs.subscription}"
        lines.append(existing or f"topic {needs.topic}{ordered}")
        if needs.filter:
            lines.append(f"  where {needs.filter}")
        lines += [f"topic {own.topic}" for own in list(planned.subscriptions.values())[1:]]
    for schedule in needs.schedules:
        paused = " (paused)" * schedule.paused
        lines.append(f"{schedule.expression}  {schedule.time_zone}{paused}")
    return "\n".join(lines) or "started by hand"


def _retries(planned: PlannedTask) -> str:
    if planned.needs.topic is None:
        return ""
    if planned.is_cloud_run_job:
        return f"{planned.max_retries}, at once"
    if planned.needs.subscription:
        return "set by the owner of\nthe subscription"
    retry = planned.task.policy.retry
    waits = backoffs(retry, (retry.max_attempts or _SHOWN_WAITS + 2) - 1)
    shown = ", ".join(_seconds(wait) for wait in waits[:_SHOWN_WAITS])
    after = f"after {shown}{', …' if len(waits) > _SHOWN_WAITS else ''}" if waits else "none"
    if retry.max_attempts is None:
        kept = _seconds(planned.merged["message_retention_seconds"])
        return f"{after}\nfor {kept}, then lost"
    return f"{after}\nthen to {planned.needs.dead_letter_topic}"


def _size(planned: PlannedTask) -> str:
    size = f"{planned.argument('cpu')} CPU, {planned.merged['memory']}"
    if planned.is_cloud_run_job:
        return f"1 for each start\n{size}"
    least, most = planned.merged["min_instances"], planned.merged["max_instances"]
    number = f"{least}" if most in (None, least) else f"{least} to {most}"
    lines = [f"{number}, {planned.at_a_time} at a time each", size]
    if len(planned.subscriptions) > 1:
        lanes = planned.task.lanes
        lines += [
            f"{lane.name}: {lane.max_concurrency} at a time"
            for lane in lanes
            if lane.max_concurrency
        ]
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
