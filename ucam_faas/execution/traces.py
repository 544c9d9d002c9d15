"""The span of an execution: from the decoded delivery to its outcome.

It is a no-op without telemetry. What fails in here changes nothing of the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ucam_faas.events.tracing import TRACE_ATTRIBUTES
from ucam_faas.execution.execution import Decision, Execution, Unclaimed
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import MAX_ATTRIBUTES
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Outcome

if TYPE_CHECKING:
    from ucam_faas.telemetry.arrival import Arrival


class Processing(NamedTuple):
    """The span of an execution, and the time of its begin by the monotonic clock."""

    span: Any
    arrival: Arrival
    began: float


def begin(execution: Execution, wake: Mapping[str, str] | None = None) -> None:
    """Begin the span of an execution, in its context.

    Args:
        execution: its delivery is decoded, and its job is claimed.
        wake: the attributes of the message that woke its job.
    """
    telemetry = execution.runtime.telemetry
    if telemetry is None or execution.processing is not None:
        return
    clock = execution.runtime.clock

    def start() -> None:
        arrival = _arrival(execution, wake)
        span = telemetry.begin(arrival)
        execution.processing = Processing(span, arrival, clock.monotonic())
        _log_within(execution, span)

    _harmless(start)


def join(execution: Execution, trace: str) -> None:
    """Put an execution under a span of another process, which ends it.

    Args:
        trace: the span, as `traceparent` has it; empty: there is none.
    """
    telemetry = execution.runtime.telemetry
    if telemetry is None:
        return

    def enter() -> None:
        span = execution.context.run(telemetry.join, trace)
        execution.processing = Processing(span, _arrival(execution, None), 0.0)
        _log_within(execution, span)

    _harmless(enter)


def end(execution: Execution, decision: Decision, outcomes: Sequence[Outcome]) -> None:
    """End the span of an execution, and record its outcome.

    Args:
        outcomes: of its messages: the decision's; or DeadLettered, when one is on its topic.
    """
    telemetry = execution.runtime.telemetry
    if telemetry is None:
        return
    processing, clock = execution.processing, execution.runtime.clock

    def stop() -> None:
        if processing is None:
            arrival = _arrival(execution, None)
            telemetry.end(None, arrival, cause=decision.outcome, outcomes=outcomes)
            return
        telemetry.end(
            processing.span,
            processing.arrival,
            cause=decision.outcome,
            outcomes=outcomes,
            error=None if isinstance(decision.error, Unclaimed) else decision.error,
            seconds=clock.monotonic() - processing.began,
            status=None if execution.convert is None else getattr(decision.value, "status", None),
        )

    _harmless(stop)


def current(runtime: Runtime) -> str:
    """Return the trace that messages of this moment carry; empty: none."""
    return "" if runtime.telemetry is None else runtime.telemetry.current()


def with_trace(attributes: Mapping[str, str], trace: str) -> dict[str, str]:
    """Return a message's attributes with a trace, unless they have one, or there is no room."""
    name = TRACE_ATTRIBUTES[0]
    if not trace or name in attributes or len(attributes) >= MAX_ATTRIBUTES:
        return dict(attributes)
    return {**attributes, name: trace}


def sending(runtime: Runtime, inbox: str, task: str) -> AbstractContextManager[Any]:
    """Return the span of a send, to be entered; None without telemetry.

    Args:
        inbox: the full name of the topic.
        task: the name of the task that gets the jobs.
    """
    if runtime.telemetry is None:
        return nullcontext()
    return runtime.telemetry.producing("send", inbox, named=task)


def count(span: Any, number: int) -> None:
    """Note the number of jobs in the span of their send."""
    if span is not None:
        span.set_attribute("messaging.batch.message_count", number)


def _arrival(execution: Execution, wake: Mapping[str, str] | None) -> Arrival:
    from ucam_faas.telemetry.arrival import Arrival  # executions without telemetry don't need it

    batch = () if execution.batch is None else execution.batch.deliveries
    now = execution.runtime.clock.now()
    published = [
        each.message.publish_time for each in batch or (execution.delivery,) if each.message
    ]
    return Arrival(
        execution.task,
        execution.delivery,
        execution.lane,
        None if execution.job is None else execution.job.key.id or None,
        wake,
        batch,
        execution.elapsed_seconds(),
        [max(0.0, (now - time).total_seconds()) for time in published if time is not None],
    )


def _log_within(execution: Execution, span: Any) -> None:
    """Give the log lines of an execution the ids of its span."""
    context, project = span.get_span_context(), execution.runtime.settings.project
    if not context.is_valid:
        return
    trace = f"{context.trace_id:032x}"
    execution.log_context = replace(
        execution.log_context,
        trace=f"projects/{project}/traces/{trace}" if project else trace,
        span_id=f"{context.span_id:016x}",
        sampled=context.trace_flags.sampled,
    )


def _harmless(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # a processor or an exporter of user code may do anything
        log_problem("ucam_faas_telemetry_failed", error=error)
