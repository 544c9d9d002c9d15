"""The backends of a folder with a `ucam-faas dev`: looked for again at each request."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.actions import publishing, schedules
from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.queues import Queue, queues
from ucam_faas.dashboard.backends import Backends, KnownTask
from ucam_faas.execution import runtime
from ucam_faas.history.database import FILE
from ucam_faas.history.reader import History
from ucam_faas.local_state import FOLDER, LocalCloud
from ucam_faas.net.rest import Rest
from ucam_faas.sending.sender import local_runtime
from ucam_faas.tasks.needs import TaskNeeds

_STARTING = "`ucam-faas dev` doesn't serve the tasks yet. Its terminal says why."


def person() -> str:
    """Return the person at this machine, for journals."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry in the table of users
        return ""


class LocalBackends:
    """Returns the backends of a folder.

    Args:
        folder: the directory of tasks; its `.ucam-faas/` has all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._history = History(folder / FOLDER / FILE)
        self._ports = lru_cache(maxsize=1)(_ports_of)

    def __call__(self) -> Backends:
        """Return the backends now."""
        cloud = local_state.read(self._folder)
        jobs, scheduler, publisher = (None, None, None) if cloud is None else self._ports(cloud)
        return Backends(
            place=self._folder.name,
            notice=_STARTING if cloud is None else "",
            history=self._history if self._history.path.exists() else None,
            jobs=jobs,
            schedules=scheduler,
            publisher=publisher,
            queues=_queues_of(cloud),
            tasks=self._tasks,
        )

    def _tasks(self) -> Sequence[KnownTask]:
        return [
            KnownTask(TaskNeeds.from_json(entry["needs"]), entry["schema"])
            for entry in local_state.read_tasks(self._folder)
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


def _queues_of(cloud: LocalCloud | None) -> Callable[[], Sequence[Queue]] | None:
    """Return a function that returns the queues; None: they are in another Pub/Sub."""
    if cloud is None or cloud.pubsub != cloud.scheduler:
        return None
    return partial(queues, Rest(cloud.pubsub))
