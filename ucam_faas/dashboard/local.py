"""The backends of a folder with a `ucam-faas dev`: looked for again at each request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.actions import publishing, schedules
from ucam_faas.actions.jobs import Jobs
from ucam_faas.dashboard.backends import Backends, KnownTask
from ucam_faas.execution import runtime
from ucam_faas.local_state import FOLDER, LocalCloud
from ucam_faas.sending.sender import local_runtime
from ucam_faas.tasks.needs import TaskNeeds

TASKS = "tasks.json"
"""Beside `dev.json`: the tasks of the current code."""
_STARTING = "`ucam-faas dev` doesn't serve the tasks yet. Its terminal says why."


class LocalBackends:
    """Returns the backends of a folder.

    Args:
        folder: the directory of tasks; its `.ucam-faas/` has all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = folder / FOLDER
        self._ports = lru_cache(maxsize=1)(_ports_of)

    def __call__(self) -> Backends:
        """Return the backends now."""
        place, cloud = self._folder.name, local_state.read(self._folder)
        if cloud is None:
            return Backends(place=place, notice=_STARTING, tasks=self._tasks)
        jobs, scheduler, publisher = self._ports(cloud)
        return Backends(
            place=place, jobs=jobs, schedules=scheduler, publisher=publisher, tasks=self._tasks
        )

    def _tasks(self) -> Sequence[KnownTask]:
        try:
            document = json.loads((self._home / TASKS).read_bytes())
        except (OSError, ValueError):
            return ()
        return [
            KnownTask(TaskNeeds.from_json(entry["needs"]), entry["schema"]) for entry in document
        ]


def _ports_of(
    cloud: LocalCloud,
) -> tuple[Jobs | None, schedules.Schedules, publishing.Destination]:
    """Return the ports of a local cloud, with their connections."""
    here = local_runtime(runtime.of_environment(), cloud)
    store = here.jobs()
    return (
        None if store is None else Jobs(here, store),
        schedules.find(here.settings, None, cloud),
        publishing.find(here.settings, None, cloud, google=False),
    )
