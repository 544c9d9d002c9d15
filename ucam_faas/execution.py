"""The pipeline: one delivery of one task, from envelope to conclusion.

    Envelope ─ prepare (contexts, payload) ─ user function ─ decide ─ settle ─ report ─► Conclusion

`Execution` is the pipeline for every front door. It may be run in the calling thread, in a pool's
thread or on the event loop; whoever runs it may also `stop` it (deadline, shutdown). Exactly one
of the two concludes it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from ucam_faas import dead_letters, reports
from ucam_faas.context import (
    CLOUD_EVENT_CONTEXT,
    LOG_CONTEXT,
    MESSAGE_CONTEXT,
    CloudEventHandlerAttributes,
    CloudEventHandlerContext,
    MessageHandlerAttributes,
    MessageHandlerContext,
)
from ucam_faas.envelopes import Envelope, describe_error
from ucam_faas.exceptions import (
    EnvelopeError,
    ExecutionAbortedException,
    UCAMFAASException,
    WrongEventTypeError,
)
from ucam_faas.execution_info import (
    AbortedExecutionReason,
    AbortedExecutionResult,
    CloudEventHandlerExecutionInfo,
    CompletedExecutionResult,
    ExecutionInfo,
    ExecutionResult,
    ExecutionStatus,
    MessageHandlerExecutionInfo,
)
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
from ucam_faas.pubsub import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
from ucam_faas.runtime import Runtime
from ucam_faas.task import Kind, Task

_DONE = Done()


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What an execution came to."""

    outcome: Outcome
    info: ExecutionInfo
    value: Any = None
    """What the function returned."""
    error: BaseException | None = None


class Execution:
    """One run of a task on an envelope.

    Args:
        call: calls the task's function where the payload is not parsed from the envelope: for
            HTTP tasks, with the Flask request.
    """

    def __init__(
        self,
        task: Task,
        envelope: Envelope,
        runtime: Runtime,
        *,
        call: Callable[[Callable[..., Any]], Any] | None = None,
    ) -> None:
        self.task = task
        self.envelope = envelope
        self.runtime = runtime
        self.payload: Any = None
        self._call = call or (lambda function: function(self.payload))
        self.started_at = runtime.clock.monotonic()
        self.context: Context = copy_context()
        self._event: CloudEventHandlerContext | None = None
        self._message: MessageHandlerContext | None = None
        self._claim = threading.Lock()

    def run(self) -> Conclusion | None:
        """Run a sync task in this thread; None if it was stopped meanwhile."""
        return self.context.run(self._run)

    async def run_async(self) -> Conclusion | None:
        """Run an async task on this loop, in `context`; None if it was stopped meanwhile."""
        found = self._prepare()
        if found is None:
            try:
                found = self._decide(await self._call(self.task.function))
            except asyncio.CancelledError as error:
                if self._claim.locked():  # stopped from outside, and concluded there
                    raise
                found = self._decide_error(error)
            except (Exception, SystemExit) as error:
                found = self._decide_error(error)
        if dead_letters.topic_for(self.task, found.outcome, self.runtime) is None:
            return self._conclude(found)
        return await asyncio.to_thread(self._conclude, found)

    def stop(self, outcome: Outcome) -> Conclusion | None:
        """Conclude without waiting for the function; None if it is concluding by itself."""
        if not self._claim.acquire(blocking=False):
            return None
        return self._report(Conclusion(outcome, self._info(outcome)))

    def broken(self, error: BaseException) -> Conclusion:
        """Conclude after a fault of the pipeline itself."""
        return Conclusion(Crashed(), ExecutionInfo(execution=AbortedExecutionResult()), error=error)

    def _run(self) -> Conclusion | None:
        found = self._prepare()
        if found is None:
            try:
                found = self._decide(self._call(self.task.function))
            except (Exception, SystemExit) as error:
                found = self._decide_error(error)
        return self._conclude(found)

    def _prepare(self) -> Conclusion | None:
        """Set the contexts and make the payload; a Conclusion if there can be none."""
        envelope = self.envelope
        LOG_CONTEXT.set(reports.log_context(self.task, envelope, self.runtime.settings))
        try:
            if envelope.attributes is not None:
                self._see_event(accepted=False)
            if self.task.kind is Kind.MESSAGE:
                self._read_message()
            elif self.task.kind is not Kind.HTTP:
                self._read_event()
            if envelope.attributes is not None:
                self._see_event(accepted=True)
        except WrongEventTypeError as error:
            return self._invalid(WrongEventType(error.detail), error)
        except EnvelopeError as error:
            return self._invalid(MalformedEvent(error.detail), error)
        except RaisedOutcome as outcome:
            return self._decide_error(outcome)
        except Exception as error:
            return self._invalid(InvalidPayload(describe_error(error)), error)
        return None

    def _read_message(self) -> None:
        envelope = self.envelope
        event_type = envelope.attributes.event_type if envelope.attributes else None
        if envelope.message is None and event_type != PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE:
            expected = PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE
            raise WrongEventTypeError(f"expected a CloudEvent of type {expected}", expected=expected)
        published = envelope.published()
        self.envelope = replace(
            envelope,
            message=published.message,
            subscription=published.subscription,
            delivery_attempt=published.delivery_attempt,
        )
        self._see_message(accepted=False)
        data = published.message.data
        self.payload = data if self.task.parse is None else self.task.parse(data)
        self._see_message(accepted=True)

    def _read_event(self) -> None:
        if self.task.kind is Kind.RAW:
            self.payload = self.envelope.body
        else:
            event = self.envelope.cloud_event()
            self.payload = event if self.task.parse is None else self.task.parse(event)

    def _see_event(self, *, accepted: bool) -> None:
        attributes = self.envelope.attributes
        assert attributes is not None, "only events are seen"
        self._event = CloudEventHandlerContext(
            attributes,
            self.envelope.cloud_event,
            self.envelope.execution_id,
            CloudEventHandlerAttributes.model_construct(input_event_accepted=accepted),
        )
        CLOUD_EVENT_CONTEXT.set(self._event)

    def _see_message(self, *, accepted: bool) -> None:
        envelope = self.envelope
        assert envelope.message is not None, "only messages are seen"
        self._message = MessageHandlerContext(
            envelope.message,
            envelope.subscription,
            envelope.delivery_attempt,
            MessageHandlerAttributes.model_construct(input_message_accepted=accepted),
        )
        MESSAGE_CONTEXT.set(self._message)

    def _decide(self, value: Any) -> Conclusion:
        """Turn what the function returned into a conclusion."""
        if isinstance(value, Outcome):
            return Conclusion(value, self._info(value))
        if isinstance(value, ExecutionInfo):
            result = value.execution
            if result.status is ExecutionStatus.COMPLETED:
                return Conclusion(_DONE, value)
            return Conclusion(Failed(str(result.reason)), value, error=result.exception)
        info = self._info(_DONE)
        if value is None or self.task.returns_response:
            return Conclusion(_DONE, info, value)
        if not _is_json(value):
            reports.log_problem("ucam_faas_result_is_not_json", type=type(value).__qualname__)
            return Conclusion(_DONE, info)
        return Conclusion(_DONE, info.with_result(value), value)

    def _decide_error(self, error: BaseException) -> Conclusion:
        """Turn what the function raised into a conclusion."""
        if isinstance(error, RaisedOutcome):
            return Conclusion(error, self._info(error))
        error = error.with_traceback(_users_part(error.__traceback__))
        if isinstance(error, ExecutionAbortedException):
            return Conclusion(Failed(), error.execution_info, error=error)
        outcome = Failed() if isinstance(error, UCAMFAASException) else Crashed()
        return Conclusion(outcome, self._info(outcome, error), error=error)

    def _invalid(self, outcome: Outcome, error: Exception) -> Conclusion:
        return Conclusion(outcome, self._info(outcome, error), error=error)

    def _conclude(self, found: Conclusion) -> Conclusion | None:
        """Settle and report, unless it was stopped: then only say that it ended late."""
        if not self._claim.acquire(blocking=False):
            reports.log_late(self, found.outcome)
            return None
        outcome = dead_letters.settle(self.task, found.outcome, self.envelope, self.runtime)
        return self._report(found if outcome is found.outcome else replace(found, outcome=outcome))

    def _report(self, found: Conclusion) -> Conclusion:
        seconds = self.runtime.clock.monotonic() - self.started_at
        found = replace(found, info=found.info.with_duration(seconds))
        reports.log(self, found.outcome, found.info, found.error)
        return found

    def _info(self, outcome: Outcome, error: BaseException | None = None) -> ExecutionInfo:
        """Make the report of an execution whose function gave none."""
        result: ExecutionResult = CompletedExecutionResult()
        if not isinstance(outcome, Done | Ignore):
            result = AbortedExecutionResult.model_construct(
                status=ExecutionStatus.ABORTED,
                reason=_REASONS.get(type(outcome), AbortedExecutionReason.FUNCTION_ABORTED),
                exception=error,
                duration_seconds=None,
            )
        return copy_context().run(self._make_info, result)

    def _make_info(self, result: ExecutionResult) -> ExecutionInfo:
        if self._event is not None:
            CLOUD_EVENT_CONTEXT.set(self._event)
        if self._message is not None:
            MESSAGE_CONTEXT.set(self._message)
        if self.task.create_default_info is not None:
            try:
                return self.task.create_default_info(execution=result)
            except Exception as error:  # a report that cannot be made changes no outcome
                reports.log_problem("ucam_faas_default_info_failed", error=error)
        if self.task.kind is Kind.MESSAGE:
            return MessageHandlerExecutionInfo(execution=result)
        if self.task.kind is Kind.EVENT_DATA:
            return CloudEventHandlerExecutionInfo(execution=result)
        return ExecutionInfo(execution=result)


_REASONS: dict[type[Outcome], AbortedExecutionReason] = {
    WrongEventType: AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT,
    MalformedEvent: AbortedExecutionReason.SERVICE_DATA_INVALID,
    InvalidPayload: AbortedExecutionReason.USER_DATA_INVALID,
}


def _users_part(found: TracebackType | None) -> TracebackType | None:
    """Skip the frames of this file: a traceback begins with what the user wrote."""
    while found is not None and found.tb_frame.f_code.co_filename == __file__:
        found = found.tb_next
    return found


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def execute(execution: Execution) -> Conclusion:
    """Run an execution to its end in this thread, without a deadline."""
    if not execution.task.is_async:
        found = execution.run()
    else:
        found = _in_own_loop(execution.run_async)
    assert found is not None, "nobody else could stop it"
    return found


def _in_own_loop(run: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end, also where a loop is already running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    box: list[Any] = []
    context = copy_context()
    thread = threading.Thread(target=lambda: context.run(lambda: box.append(asyncio.run(run()))))
    thread.start()
    thread.join()
    return box[0]
