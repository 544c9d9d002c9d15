"""The workbench of dead letters that `ucam-faas dlq` works with, and the options that choose it."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ucam_faas.actions import pubsub
from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.pubsub import Kind
from ucam_faas.cli import _local_cloud
from ucam_faas.cli._messages import note
from ucam_faas.config import Settings
from ucam_faas.dead_letters.book_lock import BookBusyError
from ucam_faas.dead_letters.opening import open_workbench
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import AmbiguousIdError, ConfigurationError
from ucam_faas.sending.sender import sender

PATIENCE_SECONDS = 20.0
"""How long to wait while another command, or the page, copies letters."""
LOOK_SECONDS = 0.1
WorkT = TypeVar("WorkT")
_Verb = Callable[..., None]


class NoLetterError(ConfigurationError):
    """No dead letter has the id."""

    error_code = "letter-unknown"


class Bench:
    """A workbench.

    Args:
        workbench: itself.
        name: of its Pub/Sub, for people.
        shows: payloads and attributes are shown: they are of this machine.
        mirrors: it may look at Pub/Sub and the store of jobs.
        dashboard: URL of its pages, without a path; empty: there are none.
    """

    def __init__(
        self, workbench: Workbench, name: str, *, shows: bool, mirrors: bool, dashboard: str = ""
    ) -> None:
        self.workbench = workbench
        self.name = name
        self.shows = shows
        self.dashboard = dashboard
        self._mirrors = mirrors

    def may_show(self, ids: Iterable[str], *, reveal: bool) -> bool:
        """Return True if the values of letters may be shown; elsewhere, the journal gets it."""
        if reveal and not self.shows:
            for id in ids:
                self.workbench.reveal(id)
        return self.shows or reveal

    def mirror(self) -> bool:
        """Copy the letters into the book; return False if that was done, or isn't wanted."""
        if not self._mirrors:
            return False
        self._mirrors = False
        try:
            problems = self.patiently(self.workbench.mirror).problems
        except BookBusyError:
            plan = self.workbench.running()
            runs = f"The plan {plan} is being sent" if plan else "Another command holds the letters"
            problems = (f"{runs}: these are the letters as they were last copied.",)
        for problem in problems:
            note(problem)
        return True

    def patiently(self, work: Callable[[], WorkT]) -> WorkT:
        """Do something that one process at a time can do, and wait for another's mirror.

        Raises:
            BookBusyError: another process sends letters, or takes too long.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return work()
            except BookBusyError:
                if self.workbench.running() or time.monotonic() > until:
                    raise
            time.sleep(LOOK_SECONDS)

    def one(self, text: str) -> str:
        """Return the id of the letter that an id names: the letter's, its message's, its job's.

        Raises:
            NoLetterError: there is none.
            AmbiguousIdError: there are several.
        """
        ids = self.workbench.find(text)
        if not ids and self.mirror():
            ids = self.workbench.find(text)
        if text in ids:
            return text
        if not ids:
            raise NoLetterError(
                f"No dead letter has the id {text!r}. `ucam-faas dlq list --each` lists them, and "
                "--state any also those that were dealt with."
            )
        if len(ids) > 1:
            raise AmbiguousIdError(f"Several dead letters have the id {text!r}: {', '.join(ids)}.")
        return ids[0]


@dataclass(frozen=True, slots=True)
class Open:
    """Opens the workbench that the options choose, once they are known to be good.

    Args:
        project: that was asked for.
        google: Google's Pub/Sub.
        mirrors: look at Pub/Sub and the store of jobs.
    """

    project: str | None
    google: bool
    mirrors: bool

    def __call__(self, *, all_letters: bool = True) -> Bench:
        """Open it, with a book that has all letters as they are now.

        Args:
            all_letters: False: single ones will do. Elsewhere than on this machine, the book then
                stays as it is, unless it lacks one of them.

        Raises:
            ConfigurationError: there is no Pub/Sub, or its project isn't known.
        """
        cloud = _local_cloud.find()
        emulator = "PUBSUB_EMULATOR_HOST" if self.google else None  # that isn't meant
        environ = {name: text for name, text in os.environ.items() if name != emulator}
        settings = Settings.from_environ(environ, project=self.project)
        place = pubsub.find(
            settings,
            self.project,
            cloud,
            google=self.google,
            purpose="read dead letters from",
            elsewhere=_local_cloud.elsewhere,
        )
        workbench = open_workbench(place, self._jobs(settings), Path.cwd())
        click.get_current_context().call_on_close(workbench.close)
        bench = Bench(
            workbench,
            place.name,
            shows=place.is_local,
            mirrors=self.mirrors,
            dashboard=cloud.dashboard if cloud and place.kind is Kind.DEV else "",
        )
        if all_letters or bench.shows:
            bench.mirror()
        return bench

    def _jobs(self, settings: Settings) -> Jobs | None:
        """Return the jobs of the same tasks, if there is a store; that of dev isn't Google's."""
        if self.google and not settings.job_store:
            return None
        runtime = sender()
        store = runtime.jobs()
        return None if store is None else Jobs(runtime, store)


def with_workbench(verb: _Verb) -> _Verb:
    """Give a verb the options that choose a Pub/Sub; it is called with `open_bench`, an Open."""

    @click.option("--project", help="Project of the dead letters. [GOOGLE_CLOUD_PROJECT]")
    @click.option("--google", is_flag=True, help="Those in Google's Pub/Sub, not in a local one.")
    @click.option(
        "--no-mirror",
        is_flag=True,
        help="Take the letters as the last command has copied them.",
    )
    @functools.wraps(verb)
    def wrapper(
        *arguments: Any, project: str | None, google: bool, no_mirror: bool, **options: Any
    ) -> None:
        verb(*arguments, open_bench=Open(project, google, not no_mirror), **options)

    return wrapper
