"""The folder `.ucam-faas/` of a directory of tasks: where a running `ucam-faas dev` is.

`dev` writes `dev.json`, and other verbs read it; and `tasks.json`, the tasks that it serves. It
holds a lock as long as it runs, so there is one in each directory. Messages may be personal data:
the folder is its owner's alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ucam_faas import project
from ucam_faas.exceptions import ConfigurationError

FOLDER = ".ucam-faas"
FILE = "dev.json"
TASKS = "tasks.json"
LOCK = "dev.lock"
JOBS = "jobs.db"
LOOKS, LOOK_SECONDS = 10, 0.02
"""How often a lock is tried that may be another process's look, and the time between."""
DEFAULT_PUBSUB_PORT = 8085
DASHBOARD_PORTS = range(8088, 8098)
"""Tried in turn, so that the address stays the same from one start to the next."""
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PUBSUB_PORT}"
PAGE = "/ucam-faas/folder"
"""Of `ucam-faas dev`: the folder that it runs in."""
BACKLOGS_PAGE = "/ucam-faas/queues"
"""Of the embedded Pub/Sub: the messages that wait in each subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCloud:
    """A local cloud that runs.

    Args:
        pubsub: `host:port` of its Pub/Sub; none: Google's.
        project: the project of its topics.
        scheduler: `host:port` of its schedules.
        sources: files, folders and modules of its tasks.
        url: where its tasks are served.
        process: id of the process, for people.
        jobs: the store of its jobs, as UCAM_FAAS_JOB_STORE has it.
        firestore: `host:port` of the emulator that such a store is in; none: Google's Firestore.
        app: the name of the application whose jobs they are.
        dashboard: URL of its dashboard, without a path; none: it has none.
        history: the file of its history; none: no history is kept.
    """

    pubsub: str
    project: str
    scheduler: str = ""
    sources: tuple[str, ...] = ()
    url: str = ""
    process: str = ""
    jobs: str = ""
    firestore: str = ""
    app: str = "default"
    dashboard: str = ""
    history: str = ""


def read(folder: Path) -> LocalCloud | None:
    """Return the local cloud of a directory of tasks; None: none, or its file cannot be read.

    Args:
        folder: the directory that `ucam-faas dev` was started in. Unknown fields of the file are
            ignored: a newer version may have written them.
    """
    try:
        document = json.loads((folder / FOLDER / FILE).read_bytes())
        known = {
            field.name: document[field.name]
            for field in fields(LocalCloud)
            if field.name in document
        }
        known["sources"] = tuple(known.get("sources", []))
        cloud = LocalCloud(**known)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    texts = [value for name, value in asdict(cloud).items() if name != "sources"]
    return cloud if all(isinstance(text, str) for text in (*texts, *cloud.sources)) else None


def running(folder: Path) -> LocalCloud | None:
    """Return the local cloud that runs in a directory of tasks; None: there is none.

    One that was killed has left its file, and another process may have its id by now.
    """
    cloud = read(folder)
    return cloud if cloud is not None and is_held(folder) else None


def nearest(start: Path) -> tuple[Path, LocalCloud] | None:
    """Return the folder and the local cloud that runs in it: this folder, or one above it.

    Args:
        start: to begin with; see `project.upwards`.
    """
    for folder in project.upwards(start):
        cloud = running(folder)
        if cloud is not None:
            return folder, cloud
    return None


def write(folder: Path, cloud: LocalCloud) -> None:
    """Say where the local cloud of a directory is; readers see all of it or nothing."""
    _replace(make_home(folder) / FILE, asdict(cloud))


def write_tasks(folder: Path, tasks: Sequence[dict[str, Any]]) -> None:
    """Say which tasks the local cloud of a directory serves.

    Args:
        folder: the directory.
        tasks: `{"needs": …, "schema": …, "topic_schema": …}` of each: its `TaskNeeds`, its
            payload's schema as `tasks.payload_schemas.form_schema` has it, and the fields of its
            topic's `TopicSchema`; None: it has none.
    """
    _replace(make_home(folder) / TASKS, list(tasks))


def read_tasks(folder: Path) -> list[dict[str, Any]]:
    """Return the tasks that were served last, as `write_tasks` has them; none if none were."""
    try:
        tasks = json.loads((folder / FOLDER / TASKS).read_bytes())
    except (OSError, ValueError):
        return []
    return tasks if isinstance(tasks, list) else []


def make_private(path: Path) -> None:
    """Make a file that its owner alone can read; or let one that is there be so, with those that
    SQLite left beside it. New ones follow it.

    Raises:
        OSError: it can't be made.
    """
    path.touch(mode=0o600)
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{end}").chmod(0o600)


def _replace(path: Path, document: object) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(document))
    beside.replace(path)


def forget(folder: Path) -> None:
    """Say that there is no local cloud."""
    (folder / FOLDER / FILE).unlink(missing_ok=True)


def make_home(folder: Path) -> Path:
    """Make the folder for a directory's state, for its owner alone, and return it.

    Version control ignores it.

    Raises:
        ConfigurationError: it cannot be made.
    """
    home = folder / FOLDER
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        home.chmod(0o700)  # an earlier version made it for all to read
        ignore = home / ".gitignore"
        ignore.touch(mode=0o600)
        ignore.chmod(0o600)
        ignore.write_text("*\n")
    except OSError as error:
        raise ConfigurationError(
            f"{home.absolute()} cannot be used ({error.strerror}). Start in another directory."
        ) from error
    return home


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only local cloud of a directory meanwhile, however this process ends.

    Raises:
        ConfigurationError: another one runs; the message says where.
    """
    descriptor = os.open(make_home(folder) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _lock(descriptor)
        except OSError as error:
            raise ConfigurationError(
                f"Another `ucam-faas dev` runs in this directory{_place(read(folder))}. Stop it, "
                "or start this one in another directory."
            ) from error
        try:
            forget(folder)  # of one that was killed
            yield
        finally:
            forget(folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Take the lock; one that `is_held` has is free in a moment."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(LOOK_SECONDS)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(folder: Path) -> bool:
    """Return True while a local cloud has a directory. Unlike a process id, that can't be stale."""
    try:
        with (folder / FOLDER / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def _place(cloud: LocalCloud | None) -> str:
    if cloud is None:
        return ""
    return (
        f" (process {cloud.process}): its tasks are on {cloud.url}, "
        f"its Pub/Sub on {cloud.pubsub or 'Google Cloud'}"
    )
