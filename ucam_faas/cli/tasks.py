"""`ucam-faas tasks`: the tasks of a source."""

from __future__ import annotations

from typing import Any

import click

from ucam_faas.cli import _local_cloud
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._source import load, of_cloud, source_parameters
from ucam_faas.cli._table import print_table
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.triggers import Schedule


@click.command("tasks", cls=Verb)
@json_option
@source_parameters
def command(source: str | None, json_only: bool) -> None:
    """List the tasks of SOURCE."""
    tasks = load(of_cloud(source, _local_cloud.find(source)))
    if json_only:
        print_json([row(task) for task in tasks])
        return
    headings = ("TASK", "TAKES", "PATH", "TRIGGER", "TIMEOUT", "SUMMARY")
    print_table(headings, [_shown(task) for task in tasks])


def _shown(task: Task) -> list[str]:
    values = row(task)
    shown = [values["name"], values["takes"], values["path"], trigger(task)]
    seconds = values["timeout_seconds"]
    return [*shown, "" if seconds is None else f"{seconds:g} s", values["summary"]]


def row(task: Task) -> dict[str, Any]:
    """Return a task as JSON."""
    return {
        "name": task.name,
        "module": task.module,
        "kind": task.kind.value,
        "takes": task.takes,
        "path": task.route,
        "methods": list(task.methods),
        "async": task.is_async,
        "run_as": task.run_as,
        **_trigger_row(task),
        "timeout_seconds": _timeout_seconds(task),
        "concurrency": task.policy.concurrency,
        "batch": _batch(task),
        "summary": task.summary,
    }


def _batch(task: Task) -> dict[str, Any] | None:
    """Return the limits of a task that takes batches."""
    if task.batch is None:
        return None
    seconds = task.batch.max_wait.total_seconds()
    return {"max_messages": task.batch.max_messages, "max_wait_seconds": seconds}


def _timeout_seconds(task: Task) -> float | None:
    """Return how long a task may take; None for a Cloud Run job without a timeout."""
    if task.run_as == "cloud-run-job" and task.policy.timeout is None:
        return None
    return task.policy.served_timeout_seconds


def trigger(task: Task) -> str:
    """Return a task's triggers for people: a line for its topic, and one for each schedule."""
    if task.trigger is None:
        return ""
    trigger = task.trigger
    if task.run_as == "cloud-run-job":
        return "\n".join(_line(schedule) for schedule in trigger.schedules) or "Cloud Run job"
    notes = [*(["filtered"] if trigger.filter else []), *(["ordered"] if trigger.ordered else [])]
    if task.batch is not None:
        notes.append(f"batches of {task.batch.max_messages}")
    lines = [f"{trigger.topic} ({', '.join(notes)})" if notes else trigger.topic]
    lines += [f"lanes {', '.join(task.lane_names)}"] if len(task.lanes) > 1 else []
    return "\n".join([*lines, *map(_line, trigger.schedules)])


def _line(schedule: Schedule) -> str:
    return f"{schedule.expression}  {schedule.time_zone}{' (paused)' * schedule.paused}"


def _trigger_row(task: Task) -> dict[str, Any]:
    if task.trigger is None:  # HTTP tasks
        no_topic: dict[str, Any] = {"topic": None, "filter": None, "ordered": False, "lanes": []}
        return {**no_topic, "schedules": [], "retry": None}
    retry = task.policy.retry
    return {
        "topic": task.trigger.topic,
        "filter": task.trigger.filter,
        "ordered": task.trigger.ordered,
        "lanes": list(task.lane_names),
        "schedules": [
            {
                "expression": schedule.expression,
                "time_zone": schedule.time_zone,
                "paused": schedule.paused,
            }
            for schedule in task.trigger.schedules
        ],
        "retry": {
            "max_attempts": retry.max_attempts,
            "min_backoff_seconds": retry.min_backoff.total_seconds(),
            "max_backoff_seconds": retry.max_backoff.total_seconds(),
        },
    }
