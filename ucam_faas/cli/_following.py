"""Following a job to its end: a line for each change of its state, and its progress.

They go to stderr, so that stdout has the result alone.
"""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import click

from ucam_faas.actions.job_documents import as_json, result_of
from ucam_faas.actions.job_texts import error_text, progress
from ucam_faas.actions.jobs import Jobs
from ucam_faas.cli._errors import INTERRUPTED
from ucam_faas.cli._job_texts import COLOURS, entry_text, note
from ucam_faas.cli._messages import tell
from ucam_faas.cli._output import print_error, print_json, remember
from ucam_faas.exceptions import WaitTimeoutError
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Entry, Row
from ucam_faas.jobs.states import WAITING, State
from ucam_faas.logs.columns import INDENT, NARROWEST, cut, of_terminal
from ucam_faas.logs.durations import duration_text

LOOK_SECONDS = 0.2


def follow(jobs: Jobs, job: Job[Any], *, timeout: timedelta | None, json_only: bool) -> int:
    """Wait for the end of a job, and print its result; return the exit code.

    Args:
        jobs: has the job.
        job: to wait for.
        timeout: the longest wait; None: without end.
        json_only: print the job as JSON at its end, and nothing before.

    Raises:
        WaitTimeoutError: the job hasn't ended within the timeout, or it was deleted.
    """
    remember(id=job.id, task=job.task)
    display = _Display(quiet=json_only)
    try:
        row = _end_of(jobs, job, display, timeout)
    except KeyboardInterrupt:
        display.clear()
        text = f"The job goes on. To end it: ucam-faas jobs cancel {job.id}"
        if json_only:
            print_error("interrupted", text, INTERRUPTED)
        else:
            tell(text, "yellow")
        return INTERRUPTED
    if json_only:
        print_json(as_json(row, data=True))
    else:
        _tell_end(row)
    return 0 if row.state is State.SUCCESS else 1


def _end_of(jobs: Jobs, job: Job[Any], display: _Display, timeout: timedelta | None) -> Row:
    until = time.monotonic() + (math.inf if timeout is None else timeout.total_seconds())
    while True:
        with suppress(TimeoutError):
            job.wait(max(0.0, min(LOOK_SECONDS, until - time.monotonic())))
        row = jobs.row(job.id, job.task)
        display.show(row, jobs.store.now())
        if row.state.is_completed:
            return row
        if timeout is not None and time.monotonic() >= until:
            display.clear()
            waited = duration_text(timeout.total_seconds())
            goes_on = "" if row.state is State.PAUSED else ", and goes on"
            raise WaitTimeoutError(
                f"The job {job.id!r} is {row.state} after {waited}{goes_on}. To wait longer: "
                f"ucam-faas jobs wait {job.id}"
            )


def _tell_end(row: Row) -> None:
    why = error_text(row)
    if why and row.state is not State.SUCCESS:  # the line before has the state
        tell(f"{row.state}: {why.removesuffix('.')}.", COLOURS.get(row.state))
    result = result_of(row)
    if result is not None:
        click.echo(json.dumps(result, ensure_ascii=False))


class _Display:
    """Prints the changes of a job once each; on a terminal, the progress is a line that changes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told: set[Entry] = set()
        self._live = ""
        self._progress = ""

    def show(self, row: Row, now: float) -> None:
        """Print the changes since the last call; `now` is the store's time."""
        if self._quiet:
            return
        new = [entry for entry in row.history if entry not in self._told]
        self._told.update(new)
        runs = row.state is State.STARTED
        report = progress(row.progress) if row.progress and runs else ""
        if new:
            self.clear()
        for entry in new:
            tell(entry_text(entry), COLOURS.get(entry.state), indent=INDENT)
        waits = row.state in WAITING
        if new and waits and (waits_for := note(row, now)):
            tell(f"{'':{INDENT}}{waits_for}", indent=INDENT)
        if not sys.stderr.isatty():
            if report and report != self._progress:
                tell(f"{'':{INDENT}}{report}", indent=INDENT)
        elif report != self._live:
            self.clear()
            columns = of_terminal(sys.stderr.fileno()) or NARROWEST
            self._live = report
            if not report:
                return
            click.echo(cut(f"{'':{INDENT}}{report}", columns - 1), nl=False, err=True)
        self._progress = report

    def clear(self) -> None:
        """Remove the line of the progress."""
        if self._live:
            click.echo("\r\033[K", nl=False, err=True)
            self._live = ""
