"""The lane of a sending: the one that its options name, or the one from which its sender runs."""

from __future__ import annotations

from contextvars import ContextVar

from ucam_faas.logs import problems
from ucam_faas.tasks import lanes
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task

LANE: ContextVar[str] = ContextVar("LANE", default=DEFAULT_LANE)
"""The lane in which the execution under way sends, unless a sending names another."""
_WARNED: set[tuple[str, str]] = set()
"""Tasks and lanes of which this process has said that the task lacks the lane."""


def lane_for(target: Task | str, named: str | int | None) -> str:
    """Return the lane of a sending.

    Args:
        target: gets it. Of a task that is known by its name alone, only `default` is certain.
        named: its `lane=`.

    Raises:
        TypeError: it isn't the name or the number of a lane.
        ValueError: the task doesn't have the lane.
    """
    if named is not None:
        lane = lanes.name_of(named)
        if not isinstance(target, str) and lane not in target.lane_names:
            raise ValueError(
                f"lane={named!r}: the task {target.name!r} has the lanes "
                f"{', '.join(target.lane_names)}."
            )
        return lane
    lane = LANE.get()
    if lane == DEFAULT_LANE or (not isinstance(target, str) and lane in target.lane_names):
        return lane
    _warn(target if isinstance(target, str) else target.name, lane)
    return DEFAULT_LANE


def _warn(task: str, lane: str) -> None:
    """Log, once in a process, that a job leaves its sender's lane."""
    if (task, lane) in _WARNED:
        return
    _WARNED.add((task, lane))
    fields = {
        "task": task,
        "lane": lane,
        "detail": f"jobs that are sent from the lane {lane!r} go to the lane 'default' of "
        f"{task!r}: it isn't known to have the first. Give the task lanes=, or send with lane=",
    }
    problems.safely(
        lambda: problems.logger.warning("ucam_faas_lane_left", extra={"fields": fields})
    )
