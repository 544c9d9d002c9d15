"""Running a plan: a line that shows how far it is, and Control-C that leaves the rest for later."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future

import click

from ucam_faas.cli._messages import tell
from ucam_faas.dead_letters.run_log import Report
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.logs.columns import NARROWEST, cut, of_terminal

_BAR = 24


def run(bench: Workbench, plan: str, *, rate: float | None, quiet: bool) -> Report:
    """Run a plan, and return how far it came.

    Control-C cancels it: the letters that are under way are finished. A second one ends the process
    at once, which loses nothing either.

    Args:
        bench: has the plan.
        plan: its id.
        rate: the most letters per second; None: no limit.
        quiet: show nothing meanwhile.

    Raises:
        KeyboardInterrupt: Control-C was pressed twice.
    """
    line = _Line(quiet=quiet)
    outcome: Future[Report] = Future()

    def work() -> None:
        try:
            outcome.set_result(bench.run(plan, rate=rate, progress=line.show))
        except BaseException as error:  # it is the caller's
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()  # so that a second Control-C ends it
    try:
        return outcome.result()
    except KeyboardInterrupt:
        line.clear()
        tell("Finishing the letters that are under way; Control-C again ends at once.", "yellow")
        bench.cancel(plan)
        return outcome.result()
    finally:
        line.clear()


class _Line:
    """A line on a terminal, written again and again; nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._shows = not quiet and sys.stderr.isatty()
        self._began = time.monotonic()
        self._first: int | None = None
        self._lock = threading.Lock()
        self._ended = False

    def show(self, report: Report) -> None:
        """Show how far a run is."""
        if not self._shows:
            return
        with self._lock:
            if self._ended:
                return
            columns = of_terminal(sys.stderr.fileno()) or NARROWEST
            click.echo(f"\r\033[K{cut(self._text(report), columns - 1)}", nl=False, err=True)

    def _text(self, report: Report) -> str:
        done = report.acked
        if self._first is None:
            self._first = done
        seconds = time.monotonic() - self._began
        rate = (done - self._first) / seconds if seconds > 1.0 else 0.0
        filled = _BAR * done // max(report.total, 1)
        text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done:,} of {report.total:,}"
        text += f", {rate:.0f} per second" if rate >= 1.0 else ""
        return f"{text}, {report.failed:,} failed" if report.failed else text

    def clear(self) -> None:
        """Remove the line, for good."""
        with self._lock:
            self._ended = True
            if self._shows:
                click.echo("\r\033[K", nl=False, err=True)
