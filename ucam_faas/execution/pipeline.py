"""The pipeline: one delivery of one task, from envelope to conclusion.

    Envelope ─ prepare (contexts, payload) ─ user function ─ decide ─ settle ─ report ─► Conclusion

`Execution` is the pipeline for every front door. It may be run in the calling thread, in a pool's
thread or on the event loop; whoever runs it may also `stop` it (deadline, shutdown). Exactly one
of the two concludes it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from logging import LogRecord
from types import CoroutineType, TracebackType
from typing import Any

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from ucam_faas.events.context import (
    CLOUD_EVENT_CONTEXT,
    EVENT_ACCEPTED,
    EVENT_NOT_ACCEPTED,
    MESSAGE_ACCEPTED,
    MESSAGE_CONTEXT,
    MESSAGE_NOT_ACCEPTED,
    CloudEventHandlerContext,
    MessageHandlerContext,
)
from ucam_faas.events.envelopes import Envelope
from ucam_faas.events.execution_info import (
    AbortedExecutionReason,
    AbortedExecutionResult,
    CloudEventHandlerExecutionInfo,
    CompletedExecutionResult,
    ExecutionInfo,
    ExecutionResult,
    ExecutionStatus,
    MessageHandlerExecutionInfo,
)
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
from ucam_faas.events.model_errors import describe_error, is_about_data
from ucam_faas.exceptions import (
    EnvelopeError,
    ExecutionAbortedException,
    UCAMFAASException,
    WrongEventTypeError,
)
from ucam_faas.execution import dead_letters, log_lines, off_loop
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.outcomes import (
    Crashed,
    Done,
    Failed,
    Ignore,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    RaisedOutcome,
    WrongEventType,
)
from ucam_faas.tasks.task import Kind, Task

_DONE = Done()
_NOT_OF_THE_DATA = (
    *(RaisedOutcome, ExecutionAbortedException, MemoryError, OSError),
    *(PydanticUserError, PydanticUndefinedAnnotation),  # of the model, not of its input
)
"""What parsers raise that says nothing about the data, or says by itself what it is."""
_REFUSALS = (RaisedOutcome, ExecutionInfo, CoroutineType)
"""What parsers return that is no payload."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What an execution came to. Whoever gets it writes its `line` to the log."""

    outcome: Outcome
    info: ExecutionInfo
    value: Any = None
    """What the function returned."""
    error: BaseException | None = None
    line: LogRecord | None = None


@dataclass(slots=True)
class _Found:
    """What the pipeline has found out so far."""

    outcome: Outcome
    info: ExecutionInfo | None = None
    value: Any = None
    error: BaseException | None = None
    settled: Outcome | None = None
    """What the outcome became: DeadLettered, say. The report still gives the reason for it."""


class Execution:
    """One run of a task on an envelope.

    Args:
        call: calls the task's function with the payload, in surroundings of its own; for HTTP
            tasks, with the Flask request instead.
        convert: makes something else of what the function returned, as a part of its run: a
            response, whose body a generator may still have to make.
        started_at: by the monotonic clock; default: now.
    """

    def __init__(
        self,
        task: Task,
        envelope: Envelope,
        runtime: Runtime,
        *,
        call: Callable[[Callable[..., Any], Any], Any] | None = None,
        convert: Callable[[Any], Any] | None = None,
        started_at: float | None = None,
    ) -> None:
        self.task = task
        self.envelope = envelope
        self.runtime = runtime
        self.payload: Any = None
        self._call = call
        self._convert = convert
        self.started_at = runtime.clock.monotonic() if started_at is None else started_at
        self.context: Context = copy_context()
        self._log_context = log_lines.log_context(task, envelope, runtime.settings)
        self._event: CloudEventHandlerContext | None = None
        self._message: MessageHandlerContext | None = None
        self._claim = threading.Lock()

    def run(self) -> Conclusion | None:
        """Run a sync task in this thread; None if it was stopped meanwhile."""
        return self.context.run(self._run)

    async def run_async(self) -> Conclusion | None:
        """Run an async task on this loop, in `context`; None if it was stopped meanwhile."""
        is_large = len(self.envelope.body) > off_loop.LARGE_BYTES
        prepared = await self._prepare_in_thread() if is_large else self._prepare()
        found = prepared or await self._find_async()
        if dead_letters.topic_for(self.task, found.outcome, self.envelope, self.runtime) is None:
            return self._conclude(found)
        context = copy_context()  # publishing blocks
        return await off_loop.in_thread(lambda: context.run(self._conclude, found))

    async def _prepare_in_thread(self) -> _Found | None:
        """Prepare in a copy of the context, which may have to end while the thread is in it."""
        context = copy_context()
        found = await off_loop.in_thread(lambda: context.run(self._prepare))
        for variable, value in context.items():
            variable.set(value)
        return found

    def stop(self, outcome: Outcome) -> Conclusion | None:
        """Conclude without waiting for the function; None if it is concluding by itself."""
        if not self._claim.acquire(blocking=False):
            return None
        return self._report(_Found(outcome))

    def broken(self, error: BaseException) -> Conclusion:
        """Conclude after a fault of the pipeline itself."""
        return Conclusion(Crashed(), ExecutionInfo(execution=AbortedExecutionResult()), None, error)

    def _run(self) -> Conclusion | None:
        # No variable here holds what was found: this frame is in its traceback, and the two
        # would wait for the garbage collector together.
        return self._conclude(self._prepare() or self._find())

    def _find(self) -> _Found:
        try:
            return self._decide(self._start())
        except KeyboardInterrupt:  # of the process, not of the task
            raise
        except BaseException as error:  # sys.exit() in a task must not go unanswered
            return self._decide_error(error)

    async def _find_async(self) -> _Found:
        try:
            value = self._start()
            return self._decide(await value if inspect.isawaitable(value) else value)
        except (GeneratorExit, KeyboardInterrupt):  # of the loop and of the process
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._claim.locked():
                raise  # stopped from outside, and concluded there
            return self._decide_error(error)

    def _start(self) -> Any:
        """Call the function."""
        function = self.task.function
        return function(self.payload) if self._call is None else self._call(function, self.payload)

    def _prepare(self) -> _Found | None:
        """Set the contexts and make the payload; what was found if there can be none."""
        envelope = self.envelope
        LOG_CONTEXT.set(self._log_context)
        if envelope.attributes is not None:
            self._event = CloudEventHandlerContext(
                envelope.attributes, envelope.cloud_event, envelope.execution_id
            )
            CLOUD_EVENT_CONTEXT.set(self._event)
        try:
            if self.task.kind is Kind.MESSAGE:
                self._read_message()
            elif self.task.kind is not Kind.HTTP:
                self._read_event()
        except WrongEventTypeError as error:
            return _Found(WrongEventType(error.detail), error=error)
        except EnvelopeError as error:
            return _Found(MalformedEvent(error.detail), error=error)
        except (Exception, SystemExit) as error:
            if isinstance(error, _NOT_OF_THE_DATA) and not is_about_data(error):
                return self._decide_error(error)
            return _Found(InvalidPayload(describe_error(error)), error=error)
        if isinstance(self.payload, _REFUSALS) and (refused := self._refused()) is not None:
            return refused
        if self._event is not None:
            self._event.handler = EVENT_ACCEPTED
        return None

    def _refused(self) -> _Found | None:
        """Return what was found if the parser returned a refusal in place of a payload."""
        if inspect.iscoroutine(self.payload):
            self.payload.close()
            error = TypeError("the parser returned a coroutine: expected a sync function")
            return _Found(Crashed(), error=error)
        if isinstance(self.payload, ExecutionInfo) and self.task.kind is not Kind.EVENT_DATA:
            return None  # of messages, it is the payload
        return self._decide(self.payload)

    def _read_message(self) -> None:
        envelope = self.envelope
        if envelope.message is None:
            event_type = envelope.attributes.event_type if envelope.attributes else None
            expected = PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
            if event_type != expected:
                raise WrongEventTypeError(
                    f"expected a CloudEvent of type {expected}", expected=expected
                )
            published = envelope.published()
            self.envelope = envelope = replace(
                envelope,
                message=published.message,
                subscription=published.subscription,
                delivery_attempt=published.delivery_attempt,
            )
        message = envelope.message
        assert message is not None, "it was just read"
        self._message = MessageHandlerContext(
            message, envelope.subscription, envelope.delivery_attempt
        )
        MESSAGE_CONTEXT.set(self._message)
        if self._event is not None:
            self._event.handler = EVENT_ACCEPTED  # whatever its payload is
        self.payload = message.data if self.task.parse is None else self.task.parse(message.data)
        self._message.handler = MESSAGE_ACCEPTED

    def _read_event(self) -> None:
        if self.task.kind is Kind.RAW:
            self.payload = self.envelope.body
        else:
            event = self.envelope.cloud_event()
            self.payload = event if self.task.parse is None else self.task.parse(event)

    def _decide(self, value: Any) -> _Found:
        """Turn what the function returned into an outcome."""
        if isinstance(value, type) and issubclass(value, RaisedOutcome):
            value = value()  # `return Retry`, as `raise Retry` would
        if isinstance(value, RaisedOutcome):
            return _Found(value)
        if inspect.iscoroutine(value):  # a sync wrapper of an async function: this is its thread
            return self._decide(asyncio.run(value))
        if isinstance(value, ExecutionInfo):
            result = value.execution
            if result.status is ExecutionStatus.COMPLETED:
                return _Found(_DONE, info=value)
            error = result.exception if isinstance(result.exception, BaseException) else None
            return _Found(_failure(str(result.reason)), info=value, value=value, error=error)
        if self._convert is not None:
            return _Found(_DONE, value=self._convert(value))
        if value is not None and not self.task.returns_response and not _is_json(value):
            log_lines.log_problem("ucam_faas_result_is_not_json", type=type(value).__qualname__)
            value = None
        return _Found(_DONE, value=value)

    def _decide_error(self, error: BaseException) -> _Found:
        """Turn what the function raised into an outcome."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # as asyncio.TaskGroup raises what one of its tasks did
        if isinstance(error, RaisedOutcome):
            return _Found(error.with_traceback(None))  # its frames would hold on to this run
        error = error.with_traceback(_users_part(error.__traceback__))
        if isinstance(error, ExecutionAbortedException):
            info = error.execution_info if isinstance(error.execution_info, ExecutionInfo) else None
            return _Found(_failure(_reason(info)), info=info, error=error)
        outcome = Failed() if isinstance(error, UCAMFAASException) else Crashed()
        return _Found(outcome, error=error)

    def _conclude(self, found: _Found) -> Conclusion | None:
        """Settle and report, unless it was stopped: then only say that it ended late."""
        if not self._claim.acquire(blocking=False):
            log_lines.log_late(self._subject(), found.outcome)
            return None
        found.settled = dead_letters.settle(
            self.task,
            found.outcome,
            self.envelope,
            self.runtime,
            error=found.error,
            elapsed_seconds=self._elapsed(),
        )
        return self._report(found)

    def _report(self, found: _Found) -> Conclusion:
        seconds = self._elapsed()
        info = self._info(found, seconds)
        status = getattr(found.value, "status", None) if self._convert is not None else None
        outcome = found.settled or found.outcome
        line = log_lines.record(self._subject(), outcome, info, found.error, status, found.outcome)
        return Conclusion(outcome, info, found.value, found.error, line)

    def _elapsed(self) -> float:
        return self.runtime.clock.monotonic() - self.started_at

    def _subject(self) -> log_lines.Subject:
        return log_lines.Subject(self.task, self.envelope, self.runtime.settings, self._log_context)

    def _info(self, found: _Found, seconds: float) -> ExecutionInfo:
        """Return the function's own report, or make one."""
        if found.info is not None and (
            found.info.execution.status is ExecutionStatus.ABORTED
            or isinstance(found.outcome, Done)
        ):
            return found.info.with_duration(seconds)
        result: ExecutionResult
        if isinstance(found.outcome, Done | Ignore):
            result = CompletedExecutionResult(duration_seconds=seconds)
        else:
            reason = _REASONS.get(type(found.outcome), AbortedExecutionReason.FUNCTION_ABORTED)
            result = AbortedExecutionResult(
                reason=reason, exception=found.error, duration_seconds=seconds
            )
        if found.info is not None:  # it came with an exception that says otherwise
            return found.info.model_copy(update={"execution": result})
        info = self._default_info(result)
        if found.value is not None and not self.task.returns_response:
            return info.with_result(found.value)
        return info

    def _default_info(self, result: ExecutionResult) -> ExecutionInfo:
        event, message = self._event, self._message
        if self.task.create_default_info is not None:
            try:
                return copy_context().run(self._create_default_info, result)
            except (Exception, SystemExit) as error:  # a failed report changes no outcome
                log_lines.log_problem("ucam_faas_default_info_failed", error=error)
        if self.task.kind not in (Kind.MESSAGE, Kind.EVENT_DATA):
            return ExecutionInfo(execution=result)
        fields: dict[str, Any] = {
            "execution": result,
            "execution_id": self.envelope.execution_id,
            "cloudevents": self.envelope.attributes,
            "cloud_event_handler": event.handler if event else EVENT_NOT_ACCEPTED,
        }
        if self.envelope.message is None or self.task.kind is Kind.EVENT_DATA:
            return CloudEventHandlerExecutionInfo(**fields)
        return MessageHandlerExecutionInfo(
            **fields,
            pubsub_message=self.envelope.message,
            message_handler=message.handler if message else MESSAGE_NOT_ACCEPTED,
        )

    def _create_default_info(self, result: ExecutionResult) -> ExecutionInfo:
        """Let the task make it, where the contexts are those of the execution."""
        if self._event is not None:
            CLOUD_EVENT_CONTEXT.set(self._event)
        if self._message is not None:
            MESSAGE_CONTEXT.set(self._message)
        assert self.task.create_default_info is not None, "asked for by the caller"
        info = self.task.create_default_info(execution=result)
        if not isinstance(info, ExecutionInfo):
            raise TypeError(f"create_default_info returned {type(info).__qualname__}")
        return info.model_copy(update={"execution": result})  # whatever it says of the outcome


_REASONS: dict[type[Outcome], AbortedExecutionReason] = {
    WrongEventType: AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT,
    MalformedEvent: AbortedExecutionReason.SERVICE_DATA_INVALID,
    InvalidPayload: AbortedExecutionReason.USER_DATA_INVALID,
}


_KINDS: dict[str, Any] = {str(reason): kind for kind, reason in _REASONS.items()}


def _failure(reason: str | None) -> Outcome:
    """Return the outcome of an aborted run: what a reason of ours says holds, whoever says it."""
    outcome: Outcome = _KINDS.get(str(reason), Failed)(reason)
    return outcome


def _reason(info: ExecutionInfo | None) -> str | None:
    if info is None or info.execution.status is not ExecutionStatus.ABORTED:
        return None
    return str(info.execution.reason)


_CALLERS = (__name__, "ucam_faas.serving.flask_tasks")


def _users_part(found: TracebackType | None) -> TracebackType | None:
    """Skip the frames that call the function: a traceback begins with what the user wrote."""
    while found is not None and found.tb_frame.f_globals.get("__name__") in _CALLERS:
        found = found.tb_next
    return found


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except Exception:  # whatever a value of the user's does when it is looked at
        return False
    return True


def execute(execution: Execution) -> Conclusion:
    """Run an execution to its end in this thread, without a deadline."""
    if not execution.task.is_async:
        found = execution.run()
    else:
        found = _in_own_loop(execution.run_async)
    assert found is not None, "nobody else could stop it"
    log_lines.write(found.line)
    return found


def _in_own_loop(run: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end, also where a loop is already running."""
    if asyncio._get_running_loop() is None:
        return asyncio.run(run())
    found: Future[Any] = Future()

    def work() -> None:
        try:
            found.set_result(asyncio.run(run()))
        except BaseException as error:
            found.set_exception(error)

    thread = threading.Thread(target=copy_context().run, args=(work,))
    thread.start()
    thread.join()
    return found.result()
