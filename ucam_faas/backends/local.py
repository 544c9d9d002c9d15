"""The backends of a folder with a `ucam-faas dev`: looked for again at each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.actions import publishing, pubsub, schedules
from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.queues import Queue, queues
from ucam_faas.backends.letter_work import LetterWork
from ucam_faas.backends.ports import Backends, KnownTask
from ucam_faas.dead_letters.book import FILE as BOOK_FILE, Book
from ucam_faas.dead_letters.opening import open_workbench, person
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.execution import runtime
from ucam_faas.history.database import FILE
from ucam_faas.history.reader import History
from ucam_faas.local_state import FOLDER, LocalCloud
from ucam_faas.net.rest import Rest
from ucam_faas.sending.sender import local_runtime

STARTING = "`ucam-faas dev` isn't serving the tasks. If it runs, its terminal says why."
ALONE = "No `ucam-faas dev` runs here: this is its history. Start it to act."


class LocalBackends:
    """Returns the backends of a folder.

    Args:
        folder: the directory of tasks; its `.ucam-faas/` has all.
        notice: the sentence at the top while no `ucam-faas dev` serves them.
    """

    def __init__(self, folder: Path, *, notice: str = ALONE) -> None:
        self._folder = folder
        self._notice = notice
        self._history = History(folder / FOLDER / FILE)
        self._ports = lru_cache(maxsize=1)(partial(_ports_of, folder))
        self._parser = _PresentParser(folder)
        self._letter_work = LetterWork(mirrors=True)
        self._copies = Workbench(Book(folder / FOLDER / BOOK_FILE), by=person())

    def __call__(self) -> Backends:
        """Return the backends now; without a cloud, those that show what it left, and do nothing.

        A dead letter that was settled is a dead letter in the history, so the book says which wait.
        """
        cloud = local_state.running(self._folder)
        if cloud is None:
            return Backends(
                place=self._folder.name,
                notice=self._notice,
                history=self._history if self._has_history(cloud) else None,
                workbench=self._copies if self._copies.book.database.path.exists() else None,
                tasks=self._tasks,
                read_only=True,
            )
        ports = self._ports(cloud)
        return Backends(
            place=self._folder.name,
            history=self._history if self._has_history(cloud) else None,
            jobs=ports.jobs,
            workbench=ports.workbench,
            letter_work=self._letter_work,
            schedules=ports.schedules,
            publisher=ports.publisher,
            queues=_queues_of(cloud),
            tasks=self._tasks,
            parser=self._parser.of(cloud),
        )

    def _has_history(self, cloud: LocalCloud | None) -> bool:
        """Return False for the file of an earlier session, if this one keeps none."""
        return (cloud is None or bool(cloud.history)) and self._history.path.exists()

    def _tasks(self) -> Sequence[KnownTask]:
        return [KnownTask.from_json(entry) for entry in local_state.read_tasks(self._folder)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ports:
    """The ports of a local cloud, with their connections."""

    jobs: Jobs | None = None
    workbench: Workbench | None = None
    schedules: schedules.Schedules | None = None
    publisher: publishing.Destination | None = None


def _ports_of(folder: Path, cloud: LocalCloud) -> _Ports:
    here = local_runtime(runtime.of_environment(), cloud)
    store = here.jobs()
    jobs = None if store is None else Jobs(here, store)
    place = pubsub.find(here.settings, None, cloud, google=False, purpose="read dead letters from")
    return _Ports(
        jobs=jobs,
        workbench=open_workbench(place, jobs, folder),
        schedules=schedules.find(here.settings, None, cloud),
        publisher=publishing.find(here.settings, None, cloud, google=False),
    )


class _PresentParser:
    """Has the parser of the code as `ucam-faas dev` serves it now.

    Args:
        folder: the directory of tasks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._served: tuple[LocalCloud, float] | None = None
        self._parser = Parser(())

    def of(self, cloud: LocalCloud) -> Parser:
        """Return it; the process of the code before is ended.

        A thread does that: a question may be under way, and no page waits for its answer.
        """
        tasks = self._folder / FOLDER / local_state.TASKS
        served = cloud, tasks.stat().st_mtime if tasks.exists() else 0.0
        with self._lock:
            if served != self._served:
                threading.Thread(target=self._parser.close, daemon=True).start()
                self._parser = Parser(self._sources(cloud), cloud=cloud)
                self._served = served
            return self._parser

    def _sources(self, cloud: LocalCloud) -> list[str]:
        """Return the sources; files by their full names, as this may be another directory."""
        paths = [(text, self._folder / text) for text in cloud.sources]
        return [str(path) if path.exists() else text for text, path in paths]


def _queues_of(cloud: LocalCloud) -> Callable[[], Sequence[Queue]] | None:
    """Return a function that returns the queues; None: they are in another Pub/Sub."""
    if cloud.pubsub != cloud.scheduler:
        return None
    return partial(queues, Rest(cloud.pubsub))
