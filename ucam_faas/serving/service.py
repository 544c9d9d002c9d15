"""From a request for a task to its response, whichever server took it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.execution import log_lines, off_loop
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import (
    NoSuchTask,
    Outcome,
    Overloaded,
    RaisedOutcome,
    Refused,
    ShuttingDown,
    TooLarge,
    WrongMethod,
)
from ucam_faas.serving.bodies import Bodies
from ucam_faas.serving.observer import Observer
from ucam_faas.serving.responses import (
    Response,
    converter,
    of_execution,
    of_outcome,
)
from ucam_faas.serving.runner import Runner
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import INBOX_PATH, lane_of_path

if TYPE_CHECKING:
    from ucam_faas.job_runs.job_run import JobRun

_CLOSE = (("connection", "close"),)


class Service:
    """The tasks of one process, ready to be called. It belongs to one event loop.

    Args:
        patient: see `Runner`.
    """

    def __init__(
        self, tasks: Sequence[Task], runtime: Runtime, observer: Observer, *, patient: bool = False
    ) -> None:
        self.runtime = runtime
        self.runner = Runner(tasks, runtime, patient=patient)
        self.bodies = Bodies(runtime.settings, runtime.clock)
        self._observer = observer
        self._telemetry_wait = runtime.settings.telemetry_wait
        self._of_pushes = _push_verifier(runtime)
        self._of_callers = _caller_verifier(runtime)

    async def refuse(
        self, task: Task, method: str, path: str, headers: Mapping[str, str]
    ) -> Response | None:
        """Return the answer to a request whose body need not be read, or None."""
        if self.runner.draining:
            return self.reject(ShuttingDown("SIGTERM was received"), method, path)
        if method != "POST" and task.takes_events:
            response = self.reject(WrongMethod("expected POST"), method, path)
            return Response(response.status, response.body, (*response.headers, ("allow", "POST")))
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self.bodies.max_bytes):
            return self.unread(TooLarge(f"body: over {self.bodies.max_bytes} bytes"), method, path)
        lane = lane_of_path(task, path) if task.lanes else None
        if self.runner.is_full(task, lane or DEFAULT_LANE):
            reason = "concurrency and queue limits reached"
            return self.reject(Overloaded(reason), method, path)
        verifier = self._of_callers if task.kind is Kind.HTTP else self._of_pushes
        if verifier is not None and (task.kind is not Kind.HTTP or task.serves_jobs):
            try:
                await verifier.verify(headers)
            except RaisedOutcome as refusal:
                return self.reject(refusal, method, path)
        return None

    def unread(self, outcome: Outcome, method: str, path: str) -> Response:
        """Return the answer to a body that was not read; the connection cannot be used again."""
        response = self.reject(outcome, method, path)
        return Response(response.status, response.body, response.headers + _CLOSE)

    def drain(self) -> None:
        """Begin nothing more, and read nothing more."""
        self.runner.drain()
        self.bodies.drain()

    async def answer(
        self,
        task: Task,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        method: str = "POST",
        arrived_at: float,
        call: Callable[[Callable[..., Any], Any], Any] | None = None,
    ) -> Response:
        """Run the task on a request, and return the response."""
        job: JobRun | None = None
        lane = lane_of_path(task, path) if INBOX_PATH in path else None
        try:
            if lane is not None:
                from ucam_faas.job_runs import arrivals  # tasks without jobs don't need it

                delivery, job = arrivals.read_inbox(self.runtime, task, path, headers, body)
            elif INBOX_PATH in path and _is_wake(path, headers, body):
                return self.reject(NoSuchTask("a job of another task"), method, path)
            else:
                delivery = await _decode(task, method, path, headers, body)
                if task.jobs.adopts:
                    from ucam_faas.job_runs import arrivals

                    job = arrivals.adopted(self.runtime, task)
        except Refused as refusal:
            return self.reject(refusal, method, path)
        execution = Execution(
            task,
            delivery,
            self.runtime,
            call=call,
            convert=converter(task) if job is None else None,
            started_at=arrived_at,
            job=job,
            lane=lane or DEFAULT_LANE,
        )
        conclusion = await self.runner.run(execution)
        if job is None or execution.holds_job:
            self._observer.concluded(execution, conclusion)
        response = of_execution(execution, conclusion)
        if self._telemetry_wait and self.runner.is_idle and self.runtime.telemetry is not None:
            await self.runtime.telemetry.flush_async(self._telemetry_wait)
        return response

    def reject(self, outcome: Outcome, method: str, path: str) -> Response:
        """Log a request that is refused before its execution, and return the answer."""
        log_lines.log_rejected(outcome, method, path)
        return of_outcome(outcome)


def _is_wake(path: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return True if a push is a wake.

    A task that is served alone answers on every path, also on other tasks' inboxes.
    """
    from ucam_faas.execution.inbox import JOB_ATTRIBUTE

    if JOB_ATTRIBUTE.encode() not in body:
        return False
    try:
        message = envelopes.decode(body, headers, path).with_message().message
    except Refused:
        return False
    return message is not None and JOB_ATTRIBUTE in message.attributes


async def _decode(
    task: Task, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Delivery:
    if not task.takes_events:
        request = f"{method} {path[:200]}" if task.kind is Kind.HTTP else ""
        return envelopes.raw(body, headers, request)
    if len(body) <= off_loop.LARGE_BYTES:
        return envelopes.decode(body, headers, path)
    return await off_loop.in_thread(lambda: envelopes.decode(body, headers, path))


def _push_verifier(runtime: Runtime) -> Any:
    settings = runtime.settings
    if not settings.push_audience and not settings.push_email:
        return None
    from ucam_faas.serving.token_auth import push_verifier

    return push_verifier(settings, runtime.clock)


def _caller_verifier(runtime: Runtime) -> Any:
    settings = runtime.settings
    if not settings.jobs_audience and not settings.jobs_callers:
        return None
    from ucam_faas.serving.token_auth import caller_verifier

    return caller_verifier(settings, runtime.clock)
