"""Tasks: their triggers, how much they do, and their last failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ucam_faas.actions.lanes import MOST_COUNTED
from ucam_faas.backends.ports import NO_CODE, Backends, KnownTask
from ucam_faas.backends.sending import can_publish, can_send, takes_jobs
from ucam_faas.clock import SystemClock
from ucam_faas.dashboard.query import Page, Query
from ucam_faas.dashboard.views import lanes, schedules
from ucam_faas.dashboard.views.sending import task_of
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.tasks.needs import TaskNeeds

HOURS = 24
BUCKETS = 48
"""Half hours."""
ERRORS = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of a task in the last HOURS; each a sum, and by half hours."""

    published: int
    done: int
    failed: int
    dead_lettered: int
    bars: list[tuple[int, int]]
    """Done, and failed or dead-lettered."""

    @property
    def highest(self) -> int:
        """The length of the longest bar, at least 1."""
        return max([done + bad for done, bad in self.bars], default=0) or 1


def view(query: Query, backends: Backends) -> Page:
    """Show all tasks."""
    if backends.task_list is None:
        return Page("error.html", "Tasks", {"text": NO_CODE})
    return Page("tasks.html", "Tasks", table(backends))


def table(backends: Backends) -> dict[str, Any]:
    """Return the values of the table of tasks."""
    tasks = sorted(backends.tasks(), key=lambda task: task.needs.name)
    rates = _rates(backends)
    rows = [(task, triggers(task.needs), rates.get(task.needs.name)) for task in tasks]
    return {"rows": rows, "has_rates": backends.history is not None, "hours": HOURS}


def show(query: Query, backends: Backends) -> Page:
    """Show a task."""
    task = task_of(backends, query.parts["name"])
    name = task.needs.name
    values: dict[str, Any] = {
        "task": task,
        "triggers": triggers(task.needs),
        "policy": policy(task.needs),
        "counts": _rates(backends).get(name),
        "hours": HOURS,
        "errors": _errors(backends, name),
        "lanes": lanes.rows(backends, name) if takes_jobs(backends, task.needs) else [],
        "schedules": _schedules(backends, task),
        "dead": _dead(backends, name),
        "can_send": can_send(backends, task.needs) or can_publish(backends, task.needs),
        "has_form": backends.parser is not None and task.needs.gets_messages,
        "most": MOST_COUNTED,
        "back": query.path,
    }
    return Page("task.html", name, values)


def triggers(needs: TaskNeeds) -> list[str]:
    """Return the triggers of a task, for people."""
    texts = [f"topic {needs.topic}"] if needs.topic else []
    texts += [f"{item.expression} ({item.time_zone})" for item in needs.schedules]
    if not texts:
        texts = [f"HTTP {needs.path}"]
    return texts


def policy(needs: TaskNeeds) -> list[tuple[str, str]]:
    """Return a task's rules, for people: names and values."""
    if not needs.gets_messages:
        return []
    pairs = [
        ("Filter", needs.filter or ""),
        ("Order", "by ordering key" if needs.ordered else ""),
        ("Time limit", f"{needs.ack_deadline_seconds} s"),
        ("Attempts", _attempts(needs)),
    ]
    if needs.max_backoff_seconds:
        waits = f"{needs.min_backoff_seconds:g} s to {needs.max_backoff_seconds:g} s"
        pairs.append(("Wait between attempts", waits))
    pairs.append(("Dead letters", needs.dead_letter_topic or ""))
    return [pair for pair in pairs if pair[1]]


def _attempts(needs: TaskNeeds) -> str:
    if needs.max_attempts is None:
        return "no limit"
    if needs.own_attempts is None:
        return str(needs.max_attempts)
    return f"{needs.own_attempts} (the subscription's own limit is {needs.max_attempts})"


def _rates(backends: Backends) -> dict[str, Counts]:
    if backends.history is None:
        return {}
    since = SystemClock().now().timestamp() - HOURS * 3600
    rates = backends.history.rates(since, buckets=BUCKETS)
    return {
        name: Counts(
            sum(rate.published),
            sum(rate.done),
            sum(rate.failed),
            sum(rate.dead_lettered),
            list(zip(rate.done, rate.failed, strict=True)),
        )
        for name, rate in rates.items()
    }


def _errors(backends: Backends, name: str) -> list[Any]:
    if backends.history is None:
        return []
    since = SystemClock().now().timestamp() - HOURS * 3600
    return [run for run in backends.history.errors(since, limit=500) if run.task == name][:ERRORS]


def _schedules(backends: Backends, task: KnownTask) -> list[schedules.ScheduleRow]:
    if backends.schedules is None or not task.needs.schedules:
        return []
    try:
        return schedules.rows(backends, task.needs.name)
    except UCAMFAASException:  # the page of schedules says why
        return []


def _dead(backends: Backends, name: str) -> int:
    if backends.workbench is None:
        return 0
    from ucam_faas.dead_letters.filters import Filter

    return int(backends.workbench.count(Filter(task=name)))
