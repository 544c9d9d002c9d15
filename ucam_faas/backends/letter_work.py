"""Long work on dead letters, in threads of the dashboard: mirrors, and runs of plans.

The book keeps both, so that they go on where they stopped, in whatever process. One of them at a
time holds letters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters.book_lock import BookBusyError
from ucam_faas.dead_letters.mirrors import Mirrored
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import UCAMFAASException

FRESH_SECONDS, REST = 5.0, 10
"""After a mirror, before a page makes another one: at least, and as a multiple of its duration."""
FIRST_SECONDS, WAIT_SECONDS = 1.0, 0.2
"""How long a page waits for the first mirror, and for others: it shows the copy before, then."""
PATIENCE_SECONDS = 5.0
"""How long a person waits for a mirror that is under way: each keeps a thread of the pages."""
BUSY_TRIES = 50
"""How often a run asks, in 10 seconds, whether another process still mirrors."""


class LetterWork:
    """Mirrors dead letters and runs plans.

    Args:
        mirrors: pages make mirrors by themselves, and not only when a person asks for one.
        clock: tells how long ago the last one was.
    """

    def __init__(self, *, mirrors: bool = False, clock: Clock | None = None) -> None:
        self._mirrors = mirrors
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._holding = threading.Lock()
        self._mirror: threading.Thread | None = None
        self._runs: dict[str, threading.Thread] = {}
        self._problems: dict[str, str] = {}
        self._fresh_until = self._clock.monotonic()
        self._has_mirrored = False
        self.problem = ""

    @property
    def mirrors(self) -> bool:
        """Return True if looking at letters mirrors them, without being asked for that."""
        return self._mirrors

    @contextmanager
    def holding(self, seconds: float = -1) -> Iterator[None]:
        """Wait until no other thread of this process holds letters.

        Args:
            seconds: at most; -1: without a limit, and a run may take hours.

        Raises:
            BookBusyError: another thread holds them still.
        """
        if not self._holding.acquire(timeout=seconds):
            raise BookBusyError
        try:
            yield
        finally:
            self._holding.release()

    # -- mirrors --

    def refresh(self, workbench: Workbench) -> None:
        """Begin a mirror if the last one is old, and wait for it for a moment."""
        with self._lock:
            thread = self._mirror
            if thread is None:
                is_fresh = self._clock.monotonic() < self._fresh_until
                if is_fresh or not self._mirrors or self._runs:
                    return
                thread = self._thread(self._mirrored, workbench)
                self._mirror = thread
                thread.start()
        thread.join(WAIT_SECONDS if self._has_mirrored else FIRST_SECONDS)

    def look(self, workbench: Workbench) -> Mirrored:
        """Make a mirror now, and wait for it.

        Raises:
            BookBusyError: a run, or another process, holds the letters.
            SourceError: Pub/Sub refuses, or doesn't answer.
        """
        with self.holding(PATIENCE_SECONDS):
            return workbench.mirror()

    def _mirrored(self, workbench: Workbench) -> None:
        problem, begin = "", self._clock.monotonic()
        try:
            with self.holding(), suppress(BookBusyError):
                workbench.mirror()
        except UCAMFAASException as error:
            problem = str(error)
        finally:
            with self._lock:
                self.problem = problem
                self._mirror = None
                self._has_mirrored = True
                end = self._clock.monotonic()
                self._fresh_until = end + max(FRESH_SECONDS, REST * (end - begin))

    # -- runs of plans --

    def start(self, workbench: Workbench, plan: str, rate: float | None) -> bool:
        """Run a plan from where it is; return False if it runs already.

        Args:
            workbench: has the plan.
            plan: its id.
            rate: the most letters per second; None: no limit.
        """
        with self._lock:
            if plan in self._runs:
                return False
            self._problems.pop(plan, None)
            workbench.resume(plan)
            self._runs[plan] = self._thread(self._run, workbench, plan, rate)
            self._runs[plan].start()
        return True

    def runs(self, plan: str) -> bool:
        """Return True if a thread of this process runs a plan."""
        return plan in self._runs

    def cancel(self, workbench: Workbench, plan: str) -> None:
        """Stop a run before its next letters, also one that waits for another to end."""
        workbench.cancel(plan)

    def problem_of(self, plan: str) -> str:
        """Return why the last run here stopped before its end; empty: it didn't."""
        return self._problems.get(plan, "")

    def wait(self, plan: str, seconds: float | None = None) -> None:
        """Wait for the end of a run."""
        thread = self._runs.get(plan)
        if thread is not None:
            thread.join(seconds)

    def _run(self, workbench: Workbench, plan: str, rate: float | None) -> None:
        problem = ""
        try:
            with self.holding():
                self._run_alone(workbench, plan, rate)
        except UCAMFAASException as error:
            problem = str(error)
        finally:
            with self._lock:
                del self._runs[plan]
                if problem:
                    self._problems[plan] = problem

    def _run_alone(self, workbench: Workbench, plan: str, rate: float | None) -> None:
        for left in reversed(range(BUSY_TRIES)):
            try:
                workbench.run(plan, rate=rate, resume=False)
                return
            except BookBusyError:
                if not left:
                    raise
                self._clock.sleep(0.2)

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=work, args=arguments, daemon=True)
