"""Long work of the dashboard, in threads of its process: mirrors of dead letters, runs of plans.

Both are kept in the book, so that they go on where they stopped, in whatever process.
"""

from __future__ import annotations

import threading

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import UCAMFAASException

FRESH_SECONDS = 5.0
WAIT_SECONDS = 1.0


class Mirroring:
    """Copies the dead letters when a page of them is looked at, and not more often than needed.

    Args:
        clock: tells how long ago the last time was.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._fresh_until = 0.0
        self.problem = ""

    def refresh(self, workbench: Workbench) -> None:
        """Begin to copy if the copy is old, and wait for a moment: mostly it is enough."""
        with self._lock:
            thread = self._thread
            if thread is None:
                if self._clock.monotonic() < self._fresh_until:
                    return
                thread = threading.Thread(target=self._mirror, args=(workbench,), daemon=True)
                self._thread = thread
                thread.start()
        thread.join(WAIT_SECONDS)

    def _mirror(self, workbench: Workbench) -> None:
        problem = ""
        try:
            workbench.mirror()
        except UCAMFAASException as error:
            problem = str(error)
        finally:
            with self._lock:
                self.problem = problem
                self._thread = None
                self._fresh_until = self._clock.monotonic() + FRESH_SECONDS


class Runs:
    """Runs plans. A plan that another process runs isn't among them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._problems: dict[str, str] = {}

    def start(self, workbench: Workbench, plan: str, rate: float | None) -> bool:
        """Run a plan from where it is; return False if it runs already.

        Args:
            workbench: has the plan.
            plan: its id.
            rate: the most letters per second; None: no limit.
        """
        with self._lock:
            if plan in self._threads:
                return False
            self._problems.pop(plan, None)
            arguments = (workbench, plan, rate)
            thread = threading.Thread(target=self._run, args=arguments, daemon=True)
            self._threads[plan] = thread
            thread.start()
        return True

    def is_running(self, plan: str) -> bool:
        """Return True if a thread of this process runs a plan."""
        return plan in self._threads

    def problem(self, plan: str) -> str:
        """Return why the last run here stopped before its end; empty: it didn't."""
        return self._problems.get(plan, "")

    def wait(self, plan: str, seconds: float | None = None) -> None:
        """Wait for the end of a run."""
        thread = self._threads.get(plan)
        if thread is not None:
            thread.join(seconds)

    def _run(self, workbench: Workbench, plan: str, rate: float | None) -> None:
        problem = ""
        try:
            workbench.run(plan, rate=rate)
        except UCAMFAASException as error:
            problem = str(error)
        finally:
            with self._lock:
                del self._threads[plan]
                if problem:
                    self._problems[plan] = problem
