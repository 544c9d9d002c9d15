"""The workbench of a Pub/Sub: which book, which dead letters, which failed jobs."""

from __future__ import annotations

import getpass
import re
import socket
from functools import partial
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.pubsub import Kind, Pubsub
from ucam_faas.dead_letters.book import FILE, Book
from ucam_faas.dead_letters.pushes import Pushes
from ucam_faas.dead_letters.source import RestSource
from ucam_faas.dead_letters.targets import CloudTargets
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.tasks.needs import TaskNeeds


def open_workbench(pubsub: Pubsub, jobs: Jobs | None, folder: Path, *, by: str = "") -> Workbench:
    """Return the workbench of a project's dead letters, with its book in `.ucam-faas/` of a folder.

    Args:
        pubsub: has the dead letters.
        jobs: has the failed jobs; None: there are none.
        folder: is made if it is missing, for its owner alone.
        by: who uses it, for the journal; empty: the person at this machine.

    Raises:
        ConfigurationError: the project isn't known, or the folder can't be written.
    """
    if not pubsub.project:
        raise ConfigurationError(
            "The project of the dead letters is not known: give --project, or set "
            "GOOGLE_CLOUD_PROJECT."
        )
    home = local_state.make_home(folder)
    book = Book(home / file_of(pubsub))
    is_embedded = pubsub.kind is Kind.DEV and pubsub.has_history
    source = RestSource(pubsub.api, pubsub.project, is_embedded=is_embedded, prefix=pubsub.prefix)
    tasks = partial(_tasks, folder) if pubsub.kind is Kind.DEV else tuple
    publisher = RestPublisher(pubsub.api.host, pubsub.api)
    pushes = Pushes() if pubsub.is_local else Pushes(_identity)
    targets = CloudTargets(source, publisher, pushes, jobs)
    return Workbench(book, source, jobs, targets, by=by or person(), tasks=tasks)


def _identity(origin: str) -> str:
    from ucam_faas.net.google_rest import identity_token  # a local Pub/Sub doesn't need it

    return identity_token(origin, extra="pubsub", purpose="push dead letters to Cloud Run")


def _tasks(folder: Path) -> list[TaskNeeds]:
    """Return the tasks that `ucam-faas dev` serves in a folder."""
    return [TaskNeeds.from_json(entry["needs"]) for entry in local_state.read_tasks(folder)]


def file_of(pubsub: Pubsub) -> str:
    """Return the name of the book of a Pub/Sub: another one, or stage, has other letters."""
    if pubsub.kind is Kind.DEV:
        return FILE
    place = f"{pubsub.project or ''}-{pubsub.prefix}".rstrip("-")
    if pubsub.kind is Kind.EMULATOR:
        place = f"{pubsub.name}-{place}"
    stem, dot, suffix = FILE.partition(".")
    return f"{stem}-{re.sub(r'[^A-Za-z0-9.-]', '-', place)}{dot}{suffix}"


def person() -> str:
    """Return who works on this machine, for the journal."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        name = "unknown"
    return f"{name}@{socket.gethostname()}"
