"""The span of an execution: from the decoded delivery to its outcome.

It is a no-op without telemetry. What fails in here changes nothing of the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ucam_faas.execution.execution import Decision, Execution
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


def end(execution: Execution, decision: Decision, settled: Outcome) -> None:
    """End the span of an execution, and record its outcome.

    Args:
        settled: the decision's outcome; or DeadLettered, when the message is on its topic.
    """
    telemetry = execution.runtime.telemetry
    if telemetry is None:
        return
    processing, clock = execution.processing, execution.runtime.clock

    def stop() -> None:
        if processing is None:
            telemetry.end(None, _arrival(execution, None), cause=decision.outcome, settled=settled)
            return
        telemetry.end(
            processing.span,
            processing.arrival,
            cause=decision.outcome,
            settled=settled,
            error=decision.error,
            seconds=clock.monotonic() - processing.began,
        )

    _harmless(stop)


def _arrival(execution: Execution, wake: Mapping[str, str] | None) -> Arrival:
    from ucam_faas.telemetry.arrival import Arrival  # executions without telemetry don't need it

    delivery, message = execution.delivery, execution.delivery.message
    published = None if message is None else message.publish_time
    now = execution.runtime.clock.now()
    return Arrival(
        execution.task,
        delivery,
        execution.lane,
        None if execution.job is None else execution.job.key.id or None,
        wake,
        () if execution.batch is None else execution.batch.deliveries,
        execution.elapsed_seconds(),
        None if published is None else max(0.0, (now - published).total_seconds()),
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
