"""Runs executions on an event loop: within limits, until their deadlines, and to the last SIGTERM.

Sync tasks run in a pool's threads, async tasks on the loop. Each delivery is concluded exactly
once: by its function, or by a stop that comes first (deadline, shutdown, a full queue).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from ucam_faas.execution import log_lines, pipeline
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import REQUESTS_OF_AN_INSTANCE
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Outcome, Overloaded, ShuttingDown, TimedOut
from ucam_faas.serving.admission import FullError, Gate
from ucam_faas.serving.threads import ThreadPool, Work
from ucam_faas.tasks.task import Task

CANCEL_SECONDS = 1.0
"""A cancelled task that takes longer to end counts as abandoned."""


class Runner:
    """One process's executions. It belongs to one event loop.

    Args:
        limit_by_default: a task that states no timeout gets the default one.
    """

    def __init__(
        self, tasks: Iterable[Task], runtime: Runtime, *, limit_by_default: bool = True
    ) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.draining = False
        self.patient = False
        """While it drains, waiting executions may still run, until the grace ends."""
        self.is_exhausted = False
        """Too many threads and tasks are abandoned: the process should be replaced."""
        self._limit_by_default = limit_by_default
        self._runs: set[_Run] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._pool = ThreadPool(settings.threads)
        self._results = _Results()
        threads = Gate(settings.threads, settings.queue)
        self._gates: dict[str, list[Gate]] = {}
        for task in tasks:
            limit = task.policy.concurrency or (REQUESTS_OF_AN_INSTANCE if task.is_async else None)
            own = [Gate(limit, settings.queue)] if limit else []
            self._gates[task.name] = own if task.is_async else [*own, threads]

    async def run(self, execution: Execution) -> Conclusion:
        """Run an execution to its conclusion."""
        run = _Run(execution)
        if self.draining:
            run.stop(ShuttingDown())
            return await run.done
        self._runs.add(run)
        timeout = self._timeout_seconds(execution)
        timer = (
            self.runtime.clock.call_later(timeout, lambda: self._expire(run))
            if timeout is not None
            else None
        )
        entered: list[Gate] = []
        try:
            if await self._enter(run, entered):
                if execution.task.is_async:
                    run.start_async()
                else:
                    run.start(self._pool, self._results)
            return await run.done
        finally:
            if timer is not None:
                timer.cancel()
            for gate in entered:
                gate.leave()
            self._runs.discard(run)

    def is_full(self, task: Task) -> bool:
        """Return True if a delivery would be refused now."""
        return any(gate.is_full for gate in self._gates[task.name])

    def drain(self) -> None:
        """Begin nothing more: stop waiting executions now, and running ones when the grace ends."""
        if self.draining:
            return
        self.draining = True
        for run in list(self._runs):
            if not run.running and not self.patient:
                run.stop(ShuttingDown())
        self.runtime.clock.call_later(self.runtime.settings.grace_seconds, self._end_grace)

    def close(self) -> None:
        """End the threads, when nothing will be run any more."""
        self._pool.close()

    def _end_grace(self) -> None:
        for run in list(self._runs):
            run.stop(ShuttingDown())

    def _timeout_seconds(self, execution: Execution) -> float | None:
        policy = execution.task.policy
        if policy.timeout is None and not self._limit_by_default:
            return None
        return max(0.0, policy.served_timeout_seconds - execution.elapsed_seconds())

    async def _enter(self, run: _Run, entered: list[Gate]) -> bool:
        """Pass the task's gates; False if the execution was stopped while it waited."""
        for gate in self._gates[run.execution.task.name]:
            if not gate.try_enter():
                try:
                    turn = gate.join_queue()
                except FullError:
                    run.stop(Overloaded())
                    return False
                try:
                    await asyncio.wait((turn, run.done), return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    gate.leave_queue(turn)
                    raise
                if run.done.done():
                    gate.leave_queue(turn)
                    return False
            entered.append(gate)
        return True

    def _expire(self, run: _Run) -> None:
        stack = run.stop(TimedOut())
        if run.task is not None and not run.task.done():
            self._cancelled.add(run.task)  # it may ignore that; the loop holds no reference
            run.task.add_done_callback(self._cancelled.discard)
            self.runtime.clock.call_later(CANCEL_SECONDS, self._check_exhausted)
        if stack is not None:
            log_problem(
                "ucam_faas_thread_abandoned",
                task=run.execution.task.name,
                abandoned_threads=self._pool.abandoned,
                stack=stack,
            )
            self._check_exhausted()

    def _check_exhausted(self) -> None:
        abandoned = self._pool.abandoned + len(self._cancelled)
        if abandoned > self.runtime.settings.max_abandoned_threads:
            self.is_exhausted = True


class _Results:
    """Conclusions on their way from threads to the event loop: one wake-up for many."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Run, Conclusion | None]] = deque()
        self._woken = False

    def put(self, run: _Run, conclusion: Conclusion | None) -> None:
        """Hand over, from any thread."""
        self._waiting.append((run, conclusion))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed, and with it the connection
                run.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before the first look: later results wake the loop again
        while self._waiting:
            run, conclusion = self._waiting.popleft()
            run.finish(conclusion)


class _Run:
    """An execution in a runner: waiting, then running, then done."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Conclusion] = self.loop.create_future()
        self._work: Work | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """The function was started."""
        return self._work is not None or self.task is not None

    def start(self, pool: ThreadPool, results: _Results) -> None:
        """Run in a thread."""
        try:
            self._work = pool.submit(lambda: results.put(self, self._conclude()))
        except RuntimeError as error:
            self.finish(_broken(error))

    def _conclude(self) -> Conclusion | None:
        try:
            return pipeline.run(self.execution)
        except BaseException as error:
            return _broken(error)

    def start_async(self) -> None:
        """Run on the loop."""

        async def run() -> None:
            try:
                conclusion = await pipeline.run_async(self.execution)
            except asyncio.CancelledError:
                return
            except BaseException as error:
                conclusion = _broken(error)
            self.finish(conclusion)

        self.task = self.loop.create_task(run(), context=self.execution.context)

    def stop(self, outcome: Outcome) -> str | None:
        """Conclude now, unless the function just does.

        Returns:
            the stack of the thread that was abandoned, if one was.
        """
        if self.done.done():
            return None
        try:
            conclusion = pipeline.stop(self.execution, outcome)
        except Exception as error:
            conclusion = _broken(error)
        if conclusion is None:
            return None
        self.finish(conclusion)
        if self.task is not None:
            self.task.cancel()
        return self._work.abandon() if self._work is not None else None

    def finish(self, conclusion: Conclusion | None) -> None:
        """Take the conclusion, unless the execution was stopped before."""
        if conclusion is not None and not self.done.done():
            log_lines.write(conclusion.line)
            self.done.set_result(conclusion)


def _broken(error: BaseException) -> Conclusion:
    """Conclude when the pipeline itself failed: a delivery always gets an answer."""
    log_problem("ucam_faas_pipeline_failed", error=error)
    return pipeline.broken(error)
