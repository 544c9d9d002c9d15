"""Removes old files: what Cloud Scheduler calls every night.

`CLEANUP_DIRECTORY` names the folder, `CLEANUP_DAYS` the age in days (30).
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ucam_faas
from ucam_faas import Schedule

NIGHTLY = Schedule("0 3 * * *", time_zone="Europe/London")


@ucam_faas.raw_event(timeout=timedelta(minutes=10), schedule=NIGHTLY)
def remove_old_exports(body: bytes) -> dict[str, Any] | tuple[str, int]:
    """Remove exported files that are older than 30 days.

    With the body `dry run` it only counts them.
    """
    if body not in (b"", b"dry run"):
        return "Expected an empty body, or: dry run", 400
    # Not when the module is imported: where nothing may be written, there is no such folder.
    directory = Path(os.environ.get("CLEANUP_DIRECTORY") or default_directory())
    age = timedelta(days=int(os.environ.get("CLEANUP_DAYS", "30")))
    removed = remove_older(directory, datetime.now(UTC) - age, dry_run=bool(body))
    return {"removed": removed, "dry_run": bool(body)}


def default_directory() -> Path:
    """Return a folder that holds nothing of value."""
    return Path(tempfile.gettempdir(), "ucam_faas_exports")


def remove_older(directory: Path, limit: datetime, *, dry_run: bool = False) -> int:
    """Remove the files last changed before `limit`, and return how many those were.

    A folder that is not there holds no files. Two runs at a time do not disturb each other.
    """
    removed = 0
    for path in directory.glob("*"):
        with suppress(FileNotFoundError):  # another run was faster
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime < limit.timestamp():
                if not dry_run:
                    path.unlink()
                removed += 1
    return removed
