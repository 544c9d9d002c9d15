"""The pipeline that every front door calls: one delivery of one task in, its conclusion out.

    Execution ─ claim (jobs) ─ prepare ─► payload ─ function ─► value or exception
              ─ decide ─► Decision ─ settle ─► Outcome ─ report ─► Conclusion

`preparation` sets the contexts and makes the payload, `decisions` turns the function's end into an
outcome, `dead_letters` settles that, `reporting` makes the ExecutionInfo and the log line.

An execution may run in the calling thread, in a pool's thread or on the event loop, and a stop may
come from elsewhere: exactly one of the two concludes it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, NoReturn

from ucam_faas.execution import dead_letters, inbox, log_lines, off_loop, traces
from ucam_faas.execution.decisions import decide, decide_error, refusal
from ucam_faas.execution.execution import Conclusion, Decision, Execution, Unclaimed
from ucam_faas.execution.preparation import accept, prepare
from ucam_faas.execution.reporting import not_run, report
from ucam_faas.outcomes import Outcome


def execute(execution: Execution) -> Conclusion:
    """Run an execution to its end in this thread, without a deadline."""
    if execution.task.is_async:
        return _logged(_in_own_loop(lambda: run_async(execution)))
    return _logged(run(execution))


def _logged(conclusion: Conclusion | None) -> Conclusion:
    assert conclusion is not None, "only a stop takes the claim, and nothing else has it"
    log_lines.write(conclusion.line)
    return conclusion


def run(execution: Execution) -> Conclusion | None:
    """Run a sync task in this thread; None if the execution was stopped meanwhile."""
    # No variable of these frames holds a decision or a conclusion: the frames are in the
    # traceback that it holds, and both would wait for the garbage collector.
    return execution.context.run(_run, execution)


def _run(execution: Execution) -> Conclusion | None:
    return _conclude(execution, call(execution))


def call(execution: Execution) -> Decision | None:
    """Prepare a sync task and call it, in `execution.context`, and return the decision.

    None if its process was stopped.
    """
    process = os.getpid()
    try:
        return _call(execution)  # a variable would refer to an error, whose traceback refers to it
    finally:
        if os.getpid() != process:
            _end_copy(execution)


def _end_copy(execution: Execution) -> NoReturn:
    """End a copy of the process that the task forked, and that came back: it would answer, too."""
    sys.stderr.write(
        f"ucam_faas: a process that the task {execution.task.name!r} forked came back from it, and "
        "is ended. End it in the task, with os._exit(0).\n"
    )
    sys.stderr.flush()
    os._exit(1)


def _call(execution: Execution) -> Decision | None:
    try:
        payload = _open(execution)
        refused = refusal(execution, payload)
        if refused is not None:
            return refused
        if execution.elsewhere is not None:
            return execution.elsewhere.run(execution)
        return decide(execution, _start(execution, payload))
    except KeyboardInterrupt:  # for the process, not for the task
        raise
    except BaseException as error:  # sys.exit() in a task must not go unanswered
        return decide_error(execution, error)


async def run_async(execution: Execution) -> Conclusion | None:
    """Run an async task on this loop, in `execution.context`; None if it was stopped meanwhile."""
    decision = await call_async(execution)
    if not _blocks(execution, decision):
        return _conclude(execution, decision)
    context = copy_context()
    work = off_loop.in_thread(lambda: context.run(_conclude, execution, decision))
    return await _to_its_end(work)


def _blocks(execution: Execution, decision: Decision) -> bool:
    """Return True if the conclusion publishes or stores."""
    if execution.batch is not None and execution.batch.may_publish(decision):
        return True
    may_publish = dead_letters.may_publish(execution, decision.outcome)
    return execution.holds_job or may_publish or inbox.are_unpublished(execution.log_context)


async def _to_its_end(work: Coroutine[Any, Any, Conclusion | None]) -> Conclusion | None:
    """Wait for a conclusion even when cancelled: its dead letter may be published already."""
    ending = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            if ending.done():
                raise


async def call_async(execution: Execution) -> Decision:
    """Prepare an async task and call it, in `execution.context`, and return the decision."""
    process = os.getpid()
    try:
        blocks = execution.job is not None or execution.size_bytes > off_loop.LARGE_BYTES
        payload = await _open_in_thread(execution) if blocks else _open(execution)
        refused = refusal(execution, payload)
        if refused is not None:
            return refused
        value = _start(execution, payload)
        return decide(execution, await value if inspect.isawaitable(value) else value)
    except (GeneratorExit, KeyboardInterrupt):  # of the loop and of the process
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and execution.is_claimed:
            raise  # stopped from outside, and concluded there
        return decide_error(execution, error)
    finally:
        if os.getpid() != process:
            _end_copy(execution)


def _open(execution: Execution) -> Any:
    """Return the payload; of a job, after it is claimed; of a batch, its messages."""
    if execution.job is not None:
        return execution.job.open(execution)
    traces.begin(execution)
    return prepare(execution) if execution.batch is None else execution.batch.open(execution)


async def _open_in_thread(execution: Execution) -> Any:
    """Prepare in a copy of the context, which may have to end while the thread is in it."""
    context = copy_context()
    try:
        return await off_loop.in_thread(lambda: context.run(_open, execution))
    finally:
        for variable, value in context.items():
            variable.set(value)


def _start(execution: Execution, payload: Any) -> Any:
    """Call the function, in its middleware."""
    accept(execution)
    execution.is_started = True
    if execution.task.batch is not None:
        if execution.batch is None:
            from ucam_faas.execution.message_batch import alone  # other tasks don't need it

            payload = alone(execution, payload)
        elif not payload:
            return None  # all of its messages are refused
    function = execution.task.call
    return function(payload) if execution.call is None else execution.call(function, payload)


def stopped(execution: Execution, outcome: Outcome) -> Conclusion:
    """Conclude a stopped execution whose claim the caller has taken."""
    return _settled(execution, Decision(outcome), publish=False)


def _conclude(execution: Execution, decision: Decision | None) -> Conclusion | None:
    """Settle and report, unless the execution was stopped: then only log that it ended late."""
    if decision is None:
        return None
    if not execution.claim():
        log_lines.log_late(execution, decision.outcome)
        return None
    return _settled(execution, decision)


def _settled(execution: Execution, decision: Decision, *, publish: bool = True) -> Conclusion:
    outcome, was_run = decision.outcome, not isinstance(decision.error, Unclaimed)
    if was_run and execution.batch is None:
        if execution.job is not None and execution.holds_job:
            outcome = execution.job.settle(execution, decision)
        elif publish:
            outcome = dead_letters.settle(execution, decision)
        else:
            dead_letters.note_attempt(execution, outcome)
    if inbox.are_unpublished(execution.log_context):
        inbox.flush(execution.log_context)
    if was_run and execution.batch is not None:
        conclusion = execution.batch.settle(execution, decision, publish=publish)
        traces.end(execution, decision, execution.batch.outcomes)
        return conclusion
    traces.end(execution, decision, (outcome,))
    if not was_run:
        return not_run(execution, decision)
    return report(execution, decision, outcome)


def _in_own_loop(make: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end, also where a loop is already running."""
    if asyncio._get_running_loop() is None:
        return asyncio.run(make())
    ended: Future[Any] = Future()

    def work() -> None:
        try:
            ended.set_result(asyncio.run(make()))
        except BaseException as error:
            ended.set_exception(error)

    thread = threading.Thread(target=copy_context().run, args=(work,))
    thread.start()
    thread.join()
    return ended.result()
