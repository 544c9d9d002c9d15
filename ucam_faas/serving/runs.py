"""One execution in a runner, and the way of its conclusion from a thread to the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ucam_faas.clock import Timer
from ucam_faas.events.execution_info import AbortedExecutionResult, ExecutionInfo
from ucam_faas.execution import inbox, log_lines, off_loop, pipeline
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Crashed, Outcome
from ucam_faas.serving.threads import ThreadPool, Work


class Results:
    """Conclusions on their way from threads to the event loop: one wake-up for many."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Run, Conclusion | None]] = deque()
        self._woken = False

    def put(self, run: Run, conclusion: Conclusion | None) -> None:
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


class Run:
    """An execution in a runner: waiting, then running, then done.

    Args:
        execution: runs.
        ended: called with the conclusion, perhaps in the context of the execution.
    """

    def __init__(
        self, execution: Execution, ended: Callable[[Conclusion], object] | None = None
    ) -> None:
        self.execution = execution
        self._ended = ended
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Conclusion] = self.loop.create_future()
        self._work: Work | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: Timer | None = None
        """Of its deadline."""
        self.stopped = False
        """It is concluded without its function, or about to be."""
        self._storing: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """The function was started."""
        return self._work is not None or self.task is not None

    def start(self, pool: ThreadPool, results: Results) -> None:
        """Run in a thread."""
        try:
            self._work = pool.submit(partial(_run, self.execution), partial(results.put, self))
        except RuntimeError as error:
            self.finish(_broken(error))

    def start_async(self) -> None:
        """Run on the loop."""

        async def run() -> None:
            try:
                conclusion = await pipeline.run_async(self.execution)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and self.stopped:
                    return
                conclusion = _broken(error)
            self.finish(conclusion)

        self.task = self.loop.create_task(run(), context=self.execution.context)

    def stop(self, outcome: Outcome) -> str | None:
        """Conclude now, unless the function just does.

        Returns:
            the stack of the thread that was abandoned, if one was.
        """
        if self.done.done() or not self.execution.claim():
            return None
        self.stopped = True
        conclude = partial(_stopped, self.execution, outcome)
        sent = inbox.are_unpublished(self.execution.log_context)
        if self.execution.holds_job or sent:
            self._storing = self.loop.create_task(self._store(conclude))
        else:
            self.finish(conclude())
        if self.task is not None:
            self.task.cancel()
        elsewhere = self.execution.elsewhere
        if self._work is None or (elsewhere is not None and elsewhere.stop()):
            return None
        return self._work.abandon()

    async def _store(self, conclude: Callable[[], Conclusion]) -> None:
        """Conclude in a thread: a store and Pub/Sub block, and may be down."""
        try:
            conclusion = await off_loop.in_thread(conclude)
        except RuntimeError as error:  # the system gives no thread
            conclusion = _broken(error)
        self.finish(conclusion)

    def finish(self, conclusion: Conclusion | None) -> None:
        """Take the conclusion, unless the execution was stopped before."""
        if conclusion is not None and not self.done.done():
            log_lines.write(conclusion.line)
            self.done.set_result(conclusion)
            ended, self._ended = self._ended, None  # it refers to this run: no cycle is left
            if ended is not None:
                ended(conclusion)


def _run(execution: Execution) -> Conclusion | None:
    try:
        return pipeline.run(execution)
    except BaseException as error:
        return _broken(error)


def _stopped(execution: Execution, outcome: Outcome) -> Conclusion:
    try:
        return pipeline.stopped(execution, outcome)
    except Exception as error:
        return _broken(error)


def _broken(error: BaseException) -> Conclusion:
    """Conclude when the pipeline itself failed: a delivery always gets an answer."""
    log_problem("ucam_faas_pipeline_failed", error=error)
    info = ExecutionInfo(execution=AbortedExecutionResult())
    return Conclusion(Crashed(), info, None, error)
