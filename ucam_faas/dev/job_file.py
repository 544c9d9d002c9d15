"""The file of jobs of `ucam-faas dev`: removed by `--reset`, and at the end where it isn't kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ucam_faas.dev.options import DevOptions
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.local_state import FOLDER


@contextmanager
def job_file(options: DevOptions) -> Iterator[None]:
    """Let the file be there while the block runs.

    Files of sessions that kept no state, and were killed, are removed, too: there is one session in
    a directory.

    Raises:
        ConfigurationError: a file can't be removed.
    """
    _remove("jobs-*.db*")
    if options.reset:
        _remove("jobs.db*")
    try:
        yield
    finally:
        _remove("jobs-*.db*")


def _remove(pattern: str) -> None:
    folder = Path.cwd() / FOLDER
    try:
        for path in folder.glob(pattern):  # the file, and those of its write-ahead log
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be emptied ({error}).") from error
