"""Tools about tasks."""

from __future__ import annotations

from typing import Any

from ucam_faas.backends.ports import Backends
from ucam_faas.clock import SystemClock
from ucam_faas.mcp.tools import Tool, task_of, tasks_of
from ucam_faas.tasks.needs import TaskNeeds

HOURS = 24


class ListTasks(Tool):
    """List the tasks: what starts each, and how often it ran and failed in the last 24 hours."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the tasks."""
        counts = _counts(backends)
        return {
            "place": backends.place,
            "tasks": [
                _summary(task.needs) | {"last_24_hours": counts.get(task.needs.name)}
                for task in tasks_of(backends)
            ],
        }


class ShowTask(Tool):
    """Show a task: its rules, the JSON schema of its payload, and a payload that it takes."""

    task: str
    """Name of the task, as list_tasks returns it."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the task."""
        task = task_of(backends, self.task)
        needs = task.needs
        rules = ("filter", "ordered", "ack_deadline_seconds", "max_attempts", "own_attempts")
        return {
            **_summary(needs),
            **{name: getattr(needs, name) for name in rules if needs.gets_messages},
            "dead_letter_topic": needs.dead_letter_topic,
            "job_rules": list(needs.job_rules),
            "last_24_hours": _counts(backends).get(needs.name),
            "payload_schema": task.schema,
            "topic_schema": task.topic_schema,
            "sample": needs.sample,
        }


def _summary(needs: TaskNeeds) -> dict[str, Any]:
    schedules = [f"{schedule.expression} ({schedule.time_zone})" for schedule in needs.schedules]
    return {
        "name": needs.name,
        "summary": needs.summary,
        "takes": needs.takes,
        "runs_as": needs.run_as,
        "topic": needs.topic,
        "schedules": schedules,
        "http_path": None if needs.topic else needs.path,
        "lanes": list(needs.lanes),
    }


def _counts(backends: Backends) -> dict[str, dict[str, int]]:
    if backends.history is None:
        return {}
    since = SystemClock().now().timestamp() - HOURS * 3600
    names = ("published", "done", "failed", "dead_lettered")
    return {
        task: {name: sum(getattr(rates, name)) for name in names}
        for task, rates in backends.history.rates(since, buckets=1).items()
    }
