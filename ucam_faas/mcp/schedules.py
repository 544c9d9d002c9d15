"""Tools about schedules."""

from __future__ import annotations

from typing import Any, ClassVar

from ucam_faas.actions.schedules import Schedules
from ucam_faas.backends.ports import Backends
from ucam_faas.mcp.tools import Tool, ToolError


class ListSchedules(Tool):
    """List the schedules, each with its next run."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the schedules."""
        return {"schedules": [schedule.as_json() for schedule in _schedules(backends).list()]}


class RunSchedule(Tool):
    """Run a schedule now, as if it were its time."""

    writes: ClassVar[bool] = True
    name: str
    """Name of the schedule, as list_schedules returns it."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Run it, and return it."""
        return _schedules(backends).run(self.name).as_json()


def _schedules(backends: Backends) -> Schedules:
    if backends.schedules is None:
        raise ToolError(backends.notice or "There are no schedules here: --location names theirs.")
    return backends.schedules
