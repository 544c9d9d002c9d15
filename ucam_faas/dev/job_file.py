"""The file of jobs of `ucam-faas dev`: opened at the start, removed by `--reset`, and at the end
where it isn't kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ucam_faas.clock import SystemClock
from ucam_faas.dev.options import DevOptions
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.local_state import FOLDER, JOBS, make_private


@contextmanager
def job_file(options: DevOptions) -> Iterator[None]:
    """Let the file be there while the block runs.

    Files of sessions that kept no state, and were killed, are removed, too: there is one session in
    a directory.

    Raises:
        ConfigurationError: a file can't be removed.
        JobStoreError: a newer ucam-faas made the file, or it isn't a file of jobs.
    """
    _remove("jobs-*.db*")
    if options.reset:
        _remove(f"{JOBS}*")
    _open(options.job_store)
    try:
        yield
    finally:
        _remove("jobs-*.db*")


def _open(store: str) -> None:
    """Migrate a file that exists, so that an unusable one is refused at the start.

    One in `.ucam-faas/` holds payloads: it is its owner's alone.
    """
    path = Path(store.removeprefix("sqlite:"))
    if not store.startswith("sqlite:"):
        return
    if path.parent == Path.cwd() / FOLDER:
        with suppress(OSError):  # SQLite says it better
            make_private(path)
    if path.exists():
        with closing(SqliteStore(str(path), SystemClock())) as file:
            file.migrate()


def _remove(pattern: str) -> None:
    folder = Path.cwd() / FOLDER
    try:
        for path in folder.glob(pattern):  # the file, and those of its write-ahead log
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be emptied ({error}).") from error
