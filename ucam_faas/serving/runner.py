"""Runs executions on an event loop: within limits, until their deadlines, and to the last SIGTERM.

Sync tasks run in a pool's threads, async tasks on the loop. Each delivery is concluded exactly
once: by its function, or by what stops it first (deadline, shutdown, a full queue).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from ucam_faas.execution import log_lines
from ucam_faas.execution.pipeline import Conclusion, Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.outcomes import Outcome, Overloaded, ShuttingDown, TimedOut
from ucam_faas.serving.admission import FullError, Gate
from ucam_faas.serving.threads import ThreadPool, Ticket
from ucam_faas.tasks.task import Task

SECONDS_TO_MIND = 1.0
"""What a cancelled task may take to end, before it counts as abandoned."""


class Runner:
    """One process's executions. It belongs to one event loop.

    Args:
        on_exhausted: called when too many threads are abandoned: the process should be replaced.
        limit_by_default: a task that states no timeout gets the default one.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        runtime: Runtime,
        *,
        on_exhausted: Callable[[], None] = lambda: None,
        limit_by_default: bool = True,
    ) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.draining = False
        self.patient = False
        """When it drains, what waits may run, too, until the grace ends."""
        self._on_exhausted = on_exhausted
        self._limit_by_default = limit_by_default
        self._flights: set[_Flight] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._pool = ThreadPool(settings.threads)
        self._mailbox = _Mailbox()
        threads = Gate(settings.threads, settings.queue)
        self._gates: dict[str, list[Gate]] = {}
        for task in tasks:
            limit = task.policy.concurrency or (REQUESTS_OF_AN_INSTANCE if task.is_async else None)
            own = [Gate(limit, settings.queue)] if limit else []
            self._gates[task.name] = own if task.is_async else [*own, threads]

    async def run(self, execution: Execution) -> Conclusion:
        """Run an execution to its conclusion."""
        if self.draining:
            return _stopped(execution, ShuttingDown())
        flight = _Flight(execution)
        self._flights.add(flight)
        timeout = self._timeout_seconds(execution)
        timer = (
            self.runtime.clock.call_later(timeout, lambda: self._expire(flight))
            if timeout is not None
            else None
        )
        entered: list[Gate] = []
        try:
            if await self._enter(flight, entered):
                if execution.task.is_async:
                    flight.start_async()
                else:
                    flight.start(self._pool, self._mailbox)
            return await flight.done
        finally:
            if timer is not None:
                timer.cancel()
            for gate in entered:
                gate.leave()
            self._flights.discard(flight)

    def is_full(self, task: Task) -> bool:
        """Tell whether a delivery would be refused now."""
        return any(gate.is_full for gate in self._gates[task.name])

    def drain(self) -> None:
        """Begin nothing more: what waits is stopped now, what runs when the grace ends."""
        if self.draining:
            return
        self.draining = True
        for flight in list(self._flights):
            if not flight.running and not self.patient:
                flight.stop(ShuttingDown())
        self.runtime.clock.call_later(self.runtime.settings.grace_seconds, self._end_grace)

    def close(self) -> None:
        """Let the threads go, when nothing will be run any more."""
        self._pool.close()

    def _end_grace(self) -> None:
        for flight in list(self._flights):
            flight.stop(ShuttingDown())

    def _timeout_seconds(self, execution: Execution) -> float | None:
        policy = execution.task.policy
        if policy.timeout is None and not self._limit_by_default:
            return None
        elapsed = self.runtime.clock.monotonic() - execution.started_at
        return max(0.0, policy.served_timeout_seconds - elapsed)

    async def _enter(self, flight: _Flight, entered: list[Gate]) -> bool:
        """Pass the task's gates, and say whether to go on: it may be stopped while it waits."""
        for gate in self._gates[flight.execution.task.name]:
            if not gate.try_enter():
                try:
                    turn = gate.join_queue()
                except FullError:
                    flight.stop(Overloaded())
                    return False
                try:
                    await asyncio.wait((turn, flight.done), return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    gate.leave_queue(turn)
                    raise
                if flight.done.done():
                    gate.leave_queue(turn)
                    return False
            entered.append(gate)
        return True

    def _expire(self, flight: _Flight) -> None:
        stuck = flight.stop(TimedOut())
        if flight.task is not None and not flight.task.done():
            self._cancelled.add(flight.task)  # it may not mind; the loop itself holds no reference
            flight.task.add_done_callback(self._cancelled.discard)
            self.runtime.clock.call_later(SECONDS_TO_MIND, self._check_exhausted)
        if stuck is not None:
            log_lines.log_problem(
                "ucam_faas_thread_abandoned",
                task=flight.execution.task.name,
                abandoned_threads=self._pool.abandoned,
                stack=stuck,
            )
            self._check_exhausted()

    def _check_exhausted(self) -> None:
        abandoned = self._pool.abandoned + len(self._cancelled)
        if abandoned > self.runtime.settings.max_abandoned_threads:
            self._on_exhausted()


class _Mailbox:
    """What threads have concluded, on its way to the event loop: one wake-up for many."""

    def __init__(self) -> None:
        self._found: deque[tuple[_Flight, Conclusion | None]] = deque()
        self._woken = False

    def put(self, flight: _Flight, found: Conclusion | None) -> None:
        """Hand over, from any thread."""
        self._found.append((flight, found))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer
                flight.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before the first look: what comes later wakes the loop again
        while self._found:
            flight, found = self._found.popleft()
            flight.finish(found)


class _Flight:
    """A delivery on its way: waiting, then running, then done."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Conclusion] = self.loop.create_future()
        self._ticket: Ticket | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """The function was started."""
        return self._ticket is not None or self.task is not None

    def start(self, pool: ThreadPool, mailbox: _Mailbox) -> None:
        """Run in a thread."""

        def run() -> None:
            mailbox.put(self, self._concluded())

        try:
            self._ticket = pool.submit(run)
        except RuntimeError as error:
            self.finish(self._broken(error))

    def _concluded(self) -> Conclusion | None:
        try:
            return self.execution.run()
        except BaseException as error:
            return self._broken(error)

    def start_async(self) -> None:
        """Run on the loop."""

        async def run() -> None:
            try:
                found = await self.execution.run_async()
            except asyncio.CancelledError:
                return
            except BaseException as error:
                found = self._broken(error)
            self.finish(found)

        self.task = self.loop.create_task(run(), context=self.execution.context)

    def stop(self, outcome: Outcome) -> str | None:
        """Conclude now, unless the function just does.

        Returns:
            where the abandoned thread is, if one was.
        """
        try:
            found = None if self.done.done() else self.execution.stop(outcome)
        except Exception as error:
            found = self._broken(error)
        if found is None:
            return None
        self.finish(found)
        if self.task is not None:
            self.task.cancel()
        return self._ticket.abandon() if self._ticket is not None else None

    def finish(self, found: Conclusion | None) -> None:
        """Take the conclusion, unless the execution was stopped before."""
        if found is not None and not self.done.done():
            log_lines.write(found.line)
            self.done.set_result(found)

    def _broken(self, error: BaseException) -> Conclusion:
        """Conclude when the pipeline itself failed: a delivery always gets an answer."""
        log_lines.log_problem("ucam_faas_pipeline_failed", error=error)
        return self.execution.broken(error)


def _stopped(execution: Execution, outcome: Outcome) -> Conclusion:
    found = execution.stop(outcome)
    assert found is not None, "it was never started"
    log_lines.write(found.line)
    return found
