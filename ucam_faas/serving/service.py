"""From a request for a task to its response, whichever server took it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ucam_faas.events import envelopes
from ucam_faas.exceptions import (
    EnvelopeError,
    NotAnEventError,
    UnauthenticatedPushError,
    UnsupportedMediaError,
)
from ucam_faas.execution import log_lines, off_loop
from ucam_faas.execution.pipeline import Conclusion, Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import (
    MalformedEvent,
    NotAnEvent,
    Outcome,
    Overloaded,
    ShuttingDown,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
    WrongMethod,
)
from ucam_faas.serving.bodies import Bodies
from ucam_faas.serving.responses import (
    Response,
    converter,
    of_conclusion,
    of_outcome,
)
from ucam_faas.serving.runner import Runner
from ucam_faas.tasks.task import Kind, Task

_CLOSE = (("connection", "close"),)


class Service:
    """The tasks of one process, ready to be called. It belongs to one event loop.

    Args:
        on_exhausted: called when the process should be replaced.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        runtime: Runtime,
        *,
        on_exhausted: Callable[[], None] = lambda: None,
    ) -> None:
        self.runtime = runtime
        self.runner = Runner(tasks, runtime, on_exhausted=on_exhausted)
        self.bodies = Bodies(runtime.settings, runtime.clock)
        self.on_conclusion: Callable[[Execution, Conclusion], None] | None = None
        """Told of every execution that has ended."""
        self._verifier = _verifier(runtime)

    async def refuse(
        self, task: Task, method: str, path: str, headers: Mapping[str, str]
    ) -> Response | None:
        """Return the answer to a request whose body need not be read, or None."""
        if self.runner.draining:
            return self.reject(ShuttingDown(), method, path, "SIGTERM was received")
        if method != "POST" and task.kind not in (Kind.RAW, Kind.HTTP):
            found = self.reject(WrongMethod(), method, path, "expected POST")
            return Response(found.status, found.body, (*found.headers, ("allow", "POST")))
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self.bodies.max_bytes):
            return self.unread(
                TooLarge(), method, path, f"body: over {self.bodies.max_bytes} bytes"
            )
        if self.runner.is_full(task):
            return self.reject(Overloaded(), method, path, "concurrency and queue limits reached")
        if self._verifier is not None and task.kind is not Kind.HTTP:
            try:
                await self._verifier.verify(headers)
            except UnauthenticatedPushError as error:
                return self.reject(Unauthenticated(), method, path, error.detail)
        return None

    def unread(self, outcome: Outcome, method: str, path: str, detail: str) -> Response:
        """Return the answer to a body that was not read; the connection cannot be used again."""
        found = self.reject(outcome, method, path, detail)
        return Response(found.status, found.body, found.headers + _CLOSE)

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
        try:
            if task.kind in (Kind.RAW, Kind.HTTP):
                request = f"{method} {path[:200]}" if task.kind is Kind.HTTP else ""
                envelope = envelopes.raw(body, headers, request)
            elif len(body) <= off_loop.LARGE_BYTES:
                envelope = envelopes.decode(body, headers, path)
            else:
                envelope = await off_loop.in_thread(lambda: envelopes.decode(body, headers, path))
        except EnvelopeError as error:
            return self.reject(_refusal(error), method, path, error.detail)
        execution = Execution(
            task,
            envelope,
            self.runtime,
            call=call,
            convert=converter(task),
            started_at=arrived_at,
        )
        found = await self.runner.run(execution)
        if self.on_conclusion is not None:
            self.on_conclusion(execution, found)
        if task.options.make_http_response is None:
            return of_conclusion(task, found)
        return execution.context.copy().run(of_conclusion, task, found)  # the task's contexts

    def reject(self, outcome: Outcome, method: str, path: str, detail: str) -> Response:
        """Log why a request comes to no execution, and return the answer."""
        log_lines.log_rejected(outcome, method, path, detail)
        return of_outcome(outcome)


def _refusal(error: EnvelopeError) -> Outcome:
    if isinstance(error, UnsupportedMediaError):
        return UnsupportedMedia()
    return NotAnEvent() if isinstance(error, NotAnEventError) else MalformedEvent()


def _verifier(runtime: Runtime) -> Any:
    settings = runtime.settings
    if not settings.push_audience and not settings.push_email:
        return None
    from ucam_faas.serving.push_auth import PushVerifier

    return PushVerifier(settings, runtime.clock)
