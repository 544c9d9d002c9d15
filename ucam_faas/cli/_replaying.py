"""Running a plan: a line that shows how far it is, and Control-C that leaves the rest for later."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from ucam_faas.cli._live_line import LiveLine
from ucam_faas.cli._messages import tell
from ucam_faas.cli._workbench import Bench
from ucam_faas.dead_letters.run_log import Report

_BAR = 24


def run(bench: Bench, plan: str, *, rate: float | None, quiet: bool) -> Report:
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
    progress = _Progress(quiet=quiet)
    outcome: Future[Report] = Future()

    def work() -> None:
        try:
            outcome.set_result(
                bench.patiently(
                    lambda: bench.workbench.run(
                        plan, rate=rate, progress=progress.show, resume=False
                    )
                )
            )
        except BaseException as error:  # it is the caller's
            outcome.set_exception(error)

    bench.workbench.resume(plan)  # here: Control-C comes after that, while the run waits its turn
    threading.Thread(target=work, daemon=True).start()  # so that a second Control-C ends it
    try:
        return outcome.result()
    except KeyboardInterrupt:
        progress.line.end()
        tell("Finishing the letters that are under way; Control-C again ends at once.", "yellow")
        bench.workbench.cancel(plan)
        return outcome.result()
    finally:
        progress.line.end()


class _Progress:
    """How far a run is, in a line."""

    def __init__(self, *, quiet: bool) -> None:
        self.line = LiveLine(quiet=quiet)
        self._began = time.monotonic()
        self._first: int | None = None

    def show(self, report: Report) -> None:
        """Show it."""
        if report.waits:
            left = f"{report.waits:.0f} s"
            self.line.show(f"A process that was killed holds letters for {left} more.")
            return
        if self._first is None:
            self._first = report.acked
        seconds = time.monotonic() - self._began
        rate = (report.acked - self._first) / seconds if seconds > 1.0 else 0.0
        filled = _BAR * report.acked // max(report.total, 1)
        text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {report.acked:,} of {report.total:,}"
        text += f", {rate:.0f} per second" if rate >= 1.0 else ""
        self.line.show(f"{text}, {report.failed:,} failed" if report.failed else text)
