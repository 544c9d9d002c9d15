"""Runs executions on an event loop: within limits, until their deadlines, and to the last SIGTERM.

Sync tasks run in a pool's threads, async tasks on the loop. Each delivery is concluded exactly
once: by its function, or by a stop that comes first (deadline, shutdown, a full queue).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.off_loop import in_thread
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Overloaded, ShuttingDown, TimedOut
from ucam_faas.serving.admission import FullError, Gate
from ucam_faas.serving.runs import Results, Run
from ucam_faas.serving.threads import ThreadPool
from ucam_faas.serving.ways import Way, ways
from ucam_faas.tasks import startup
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task

if TYPE_CHECKING:
    from ucam_faas.serving.processes.pool import ProcessPool

CANCEL_SECONDS = 1.0
"""A cancelled task that takes longer to end counts as abandoned."""


class Runner:
    """One process's executions. It belongs to one event loop.

    Args:
        limit_by_default: a task that states no timeout gets the default one.
        patient: while it drains, waiting executions may still run, until the grace ends.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        runtime: Runtime,
        *,
        limit_by_default: bool = True,
        patient: bool = False,
    ) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.draining = False
        self.is_exhausted = False
        """Too many threads and tasks are abandoned: the process should be replaced."""
        self._limit_by_default = limit_by_default
        self._patient = patient
        self._runs: set[Run] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._pool = ThreadPool(settings.threads)
        self._results = Results()
        self._tasks = list(tasks)
        self._ways = ways(self._tasks, settings)
        self._processes: dict[str, ProcessPool] = {}
        """By the names of tasks. Until `start_up`, and in tests, such tasks run in threads."""

    async def start_up(
        self,
        on_failure: Callable[[Sequence[Task], UCAMFAASCouldNotLoadTarget], None] | None = None,
    ) -> None:
        """Run the tasks' start-up code: of tasks in processes, in the first process of each.

        Args:
            on_failure: see `startup.run`.

        Raises:
            UCAMFAASCouldNotLoadTarget: some of it failed.
        """
        if self.runtime.telemetry is not None:
            self.runtime.telemetry.open()
        apart = [task for task in self._tasks if task.run_in_process]
        if apart:
            from ucam_faas.serving.processes.pool import ProcessPool  # other tasks don't need it

            self._processes = {task.name: ProcessPool(task, self.runtime) for task in apart}
        here = [task for task in self._tasks if not task.run_in_process]
        await startup.run(here, self.runtime.clock, on_failure=on_failure, in_thread=in_thread)
        for pool in self._processes.values():
            try:
                await in_thread(pool.wait)
            except UCAMFAASCouldNotLoadTarget as error:
                if on_failure is None:
                    raise
                on_failure([pool.task], error)

    async def run(self, execution: Execution) -> Conclusion:
        """Run an execution to its conclusion."""
        run = Run(execution)
        if self.draining:
            run.stop(ShuttingDown())
            return await run.done
        self._begin(run)
        entered: list[Gate] = []
        try:
            if await self._enter(run, entered):
                self._start(run)
            return await run.done
        finally:
            self._end(run, entered)

    @property
    def is_idle(self) -> bool:
        """Nothing waits or runs."""
        return not self._runs

    def capacity(self, task: Task, lane: str) -> int:
        """Return how many executions of a lane may run at a time."""
        return min(gate.limit for gate in self._way(task, lane).gates)

    def has_room(self, task: Task, lane: str) -> bool:
        """Return True if an execution would start at once."""
        return not self.draining and all(gate.has_room for gate in self._way(task, lane).gates)

    def start(self, execution: Execution, ended: Callable[[Conclusion], object]) -> None:
        """Start an execution that has room.

        Args:
            execution: runs.
            ended: called with its conclusion, perhaps in its context, and before this returns.
        """
        way = self._way(execution.task, execution.lane)
        entered = [gate for gate in way.gates if gate.try_enter()]

        def end(conclusion: Conclusion) -> None:
            self._end(run, entered)
            ended(conclusion)

        run = Run(execution, end)
        self._begin(run)
        self._start(run)

    def is_full(self, task: Task, lane: str = DEFAULT_LANE) -> bool:
        """Return True if a delivery would be refused now."""
        way = self._way(task, lane)
        return any(gate.is_full(way.queue) for gate in way.gates)

    def _way(self, task: Task, lane: str) -> Way:
        """Return the way of a lane; of `default`, if the task doesn't have the lane any more."""
        way = self._ways.get((task.name, lane))
        return self._ways[task.name, DEFAULT_LANE] if way is None else way

    def drain(self) -> None:
        """Begin nothing more: stop waiting executions now, and running ones when the grace ends."""
        if self.draining:
            return
        self.draining = True
        if self.runtime.telemetry is not None:
            self.runtime.telemetry.hurry()
        for run in list(self._runs):
            if not run.running and not self._patient:
                run.stop(ShuttingDown())
        self.runtime.clock.call_later(self.runtime.settings.grace_seconds, self.end_grace)

    def close(self) -> None:
        """End the threads and the processes, when nothing will be run any more."""
        self._pool.close()
        for processes in self._processes.values():
            processes.close()

    def end_grace(self) -> None:
        """Stop all executions now."""
        for run in list(self._runs):
            run.stop(ShuttingDown())

    def _begin(self, run: Run) -> None:
        self._runs.add(run)
        processes = self._processes.get(run.execution.task.name)
        if processes is not None:
            run.execution.elsewhere = processes.place()
        timeout = self._timeout_seconds(run.execution)
        if timeout is not None:
            run.timer = self.runtime.clock.call_later(timeout, lambda: self._expire(run))
        if run.execution.job is not None:
            limit = partial(self._limit_attempt, run)
            run.execution.on_claim = partial(run.loop.call_soon_threadsafe, limit)

    def _start(self, run: Run) -> None:
        if run.execution.task.is_async:
            run.start_async()
        else:
            run.start(self._pool, self._results)

    def _end(self, run: Run, entered: Iterable[Gate]) -> None:
        if run.timer is not None:
            run.timer.cancel()
        for gate in entered:
            gate.leave()
        self._runs.discard(run)

    def _timeout_seconds(self, execution: Execution) -> float | None:
        policy = execution.task.policy
        if policy.timeout is None and not self._limit_by_default:
            return None
        return max(0.0, policy.served_timeout_seconds - execution.elapsed_seconds())

    async def _enter(self, run: Run, entered: list[Gate]) -> bool:
        """Pass the task's gates; False if the execution was stopped while it waited."""
        way = self._way(run.execution.task, run.execution.lane)
        for gate in way.gates:
            if not gate.try_enter():
                try:
                    turn = gate.join_queue(way.queue)
                except FullError:
                    run.stop(Overloaded())
                    return False
                try:
                    await asyncio.wait((turn, run.done), return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    gate.leave_queue(turn, way.queue)
                    raise
                if run.stopped:
                    gate.leave_queue(turn, way.queue)
                    return False
            entered.append(gate)
        return True

    def _limit_attempt(self, run: Run) -> None:
        """Let a job that has a timeout of its own expire after that."""
        job = run.execution.job
        assert job is not None, "only jobs are claimed"
        if job.timeout_seconds is None or run.done.done():
            return
        if run.timer is not None:
            run.timer.cancel()
        seconds = job.timeout_seconds
        left = self._timeout_seconds(run.execution)
        seconds = seconds if left is None else min(seconds, left)
        run.timer = self.runtime.clock.call_later(seconds, lambda: self._expire(run))

    def _expire(self, run: Run) -> None:
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
            if self.runtime.telemetry is not None:
                self.runtime.telemetry.abandoned(run.execution.task)
            self._check_exhausted()

    def _check_exhausted(self) -> None:
        abandoned = self._pool.abandoned + len(self._cancelled)
        if abandoned > self.runtime.settings.max_abandoned_threads:
            self.is_exhausted = True
