"""Helpers of all trials: scripts beside a running `ucam-faas dev`, and waits for ends of jobs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Protocol

from tests.dev.cloud import environ_of
from tests.integration.processes import wait_until
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore

SECONDS = 400
"""The longest wait: for leases, and for the sweep's second look."""


class InFolder(Protocol):
    """Has a folder with tasks, in `main.py`."""

    @property
    def folder(self) -> Path:
        """Return it."""


def script(cloud: InFolder, code: str, **environ: str) -> int:
    """Run Python in the directory of tasks, and return its exit code."""
    return subprocess.run(
        [sys.executable, "-c", f"import main\n{code}"],
        cwd=cloud.folder,
        env=environ_of(cloud.folder, **environ),
        check=False,
        timeout=60,
    ).returncode


def ended(store: JobStore, task: str, id: str) -> Row:
    """Return the row of a job when it has ended."""

    def find() -> Row | None:
        row = store.get(Key("default", task, id))
        return row if row is not None and row.state.is_completed else None

    row: Row = wait_until(find, f"{task} {id} has ended", SECONDS)
    return row


def lines(cloud: InFolder, file: str) -> list[str]:
    """Return the lines that tasks have written to a file."""
    path = cloud.folder / file
    return path.read_text().splitlines() if path.exists() else []


def causes(row: Row) -> list[str]:
    """Return the causes of a job's changes."""
    return [entry.cause for entry in row.history]
