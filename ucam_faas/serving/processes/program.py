"""The program of a child: imports a task, runs its start-up code, and answers calls.

It ends when its parent closes the channel. When the parent is killed, the kernel ends it at once,
with the processes that it has started: a task may hold the interpreter lock.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import signal
import sys
from multiprocessing.connection import Connection

from ucam_faas.clock import SystemClock
from ucam_faas.events.context import EVENT_NOT_ACCEPTED, MESSAGE_NOT_ACCEPTED
from ucam_faas.exceptions import NoSuchTargetError, UCAMFAASException
from ucam_faas.execution import inbox, pipeline, traces
from ucam_faas.execution.decisions import fault
from ucam_faas.execution.execution import Decision, Execution, JobNews
from ucam_faas.execution.fingerprints import Fault
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.logs import setup
from ucam_faas.serving.processes import errors, wire
from ucam_faas.serving.processes.wire import Answer, Call, Hello
from ucam_faas.tasks import registry, startup
from ucam_faas.tasks.task import Task
from ucam_faas.telemetry.switch import telemetry_of

LAST_EXPORT_SECONDS = 1.0
"""A process that has nothing to do has `child.END_SECONDS` until it is killed."""


def main() -> None:
    """Serve the parent."""
    faulthandler.enable()
    channel_number, lifeline = map(int, sys.argv[1:])
    for number in (channel_number, lifeline):
        os.set_inheritable(number, False)
    end_with_parent(lifeline)
    channel = Connection(channel_number)
    try:
        hello: Hello = channel.recv()
        if hello.has_log:
            setup.configure(hello.settings)
        try:
            task = _load(hello)
            runtime = Runtime(
                hello.settings,
                SystemClock(),
                connect=publisher_of,
                telemetry=telemetry_of(hello.settings),
            )
            if runtime.telemetry is not None:
                runtime.telemetry.open()
            startup.run_here(task, runtime.clock)
        except UCAMFAASException as error:
            channel.send(str(error))
            return
        channel.send(None)
        try:
            while True:
                channel.send(_run(task, runtime, channel.recv()))
        finally:
            if runtime.telemetry is not None:
                runtime.telemetry.close(LAST_EXPORT_SECONDS)
    except (EOFError, OSError):  # the parent has ended, or lets this process end
        return


def end_with_parent(lifeline: int) -> None:
    """Have the kernel send SIGIO, which ends a process, to this group at the end of the pipe."""
    if sys.platform != "linux":  # elsewhere a child ends after its call
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


def _load(hello: Hello) -> Task:
    """Import the task from the first source that has it."""
    sys.path[:] = hello.path
    for source in hello.sources[:-1]:
        try:
            (task,) = registry.load(source, hello.task)
        except NoSuchTargetError:
            continue
        setup.adopt_structlog()
        return task
    (task,) = registry.load(hello.sources[-1], hello.task)
    setup.adopt_structlog()
    return task


def _run(task: Task, runtime: Runtime, call: Call) -> Answer:
    started_at = runtime.clock.monotonic() - call.elapsed_seconds
    job = None
    if call.row is not None:
        from ucam_faas.job_runs.elsewhere import JobElsewhere  # other tasks don't need it

        store = runtime.jobs_for("the job's process can't report")
        job = JobElsewhere(call.row, store, runtime.clock.monotonic() + call.seconds_left)
    execution = Execution(
        task, call.delivery, runtime, started_at=started_at, job=job, lane=call.lane
    )
    traces.join(execution, call.trace)
    decision = execution.context.run(pipeline.call, execution)
    assert decision is not None, "it runs here"
    if inbox.are_unpublished(execution.log_context):
        inbox.flush(execution.log_context)
    sys.stdout.flush()
    if runtime.telemetry is not None and runtime.settings.telemetry_wait:
        runtime.telemetry.flush(runtime.settings.telemetry_wait)
    return _answer(execution, decision, None if job is None else job.news)


def _answer(execution: Execution, decision: Decision, news: JobNews | None) -> Answer:
    event, message = execution.event, execution.message
    return Answer(
        outcome=wire.outcome_to_wire(decision.outcome),
        value=json.dumps(None if decision.info is not None else decision.value),
        error=errors.to_link(decision.error),
        info=wire.info_to_wire(decision.info),
        unstored=decision.unstored,
        fault=decision.fault or _fault(execution.task, decision),
        is_started=execution.is_started,
        is_event_accepted=event is not None and event.handler is not EVENT_NOT_ACCEPTED,
        is_message_accepted=message is not None and message.handler is not MESSAGE_NOT_ACCEPTED,
        job=news,
    )


def _fault(task: Task, decision: Decision) -> Fault | None:
    return None if decision.error is None else fault(task, decision)


if __name__ == "__main__":
    main()
