"""Spans of executions, publishes and sends, and metrics, in the providers of this process.

Providers are made when they are first needed: servers fork, and each process has ids, a queue and a
thread of its own.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as contexts, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Status, StatusCode, Tracer

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.forks import reset_in_child
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Outcome, name
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.telemetry import attributes, context, providers
from ucam_faas.telemetry.arrival import Arrival
from ucam_faas.telemetry.losses import RECEIVER_FAILED, UNANSWERED, Losses
from ucam_faas.telemetry.metrics import Metrics
from ucam_faas.telemetry.of_user import provider_of_user
from ucam_faas.telemetry.providers import Reader
from ucam_faas.telemetry.sender import Sender
from ucam_faas.telemetry.span_queue import SpanQueue

SCOPE = "ucam_faas"
LAST_SECONDS = 2.0
"""The longest wait for the last export, at the end of a process."""


@dataclass(slots=True)
class Tools:
    """The means of one process.

    Args:
        queue: of the package's own provider of spans.
        reader: of its own provider of metrics.
        others: providers of user code, which are only flushed.
    """

    tracer: Tracer
    metrics: Metrics | None = None
    queue: SpanQueue | None = None
    reader: Reader | None = None
    others: tuple[Any, ...] = ()


@contextmanager
def harmless() -> Iterator[None]:
    """Log an error of OpenTelemetry's code, or of user code that it calls, and go on."""
    try:
        yield
    except Exception as error:
        log_problem("ucam_faas_telemetry_failed", error=error)


class Telemetry:
    """OpenTelemetry in this process, and in those that it forks.

    Args:
        settings: name the receiver.
        traces: export spans, unless user code has a provider of them.
        metrics: the same of metrics.
        tools: to be used; None: they are made when they are needed.
        clock: measures durations.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        traces: bool = False,
        metrics: bool = False,
        tools: Tools | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._traces, self._metrics = traces, metrics
        self._clock = clock or SystemClock()
        self._tools = tools
        self._before: Tools | None = None
        """In a forked process: those for spans, whose provider is the global one here, too."""
        self._sender = Sender(self._export, self._clock)
        self._losses = Losses()
        self._start()
        reset_in_child(self)

    def _start(self) -> None:
        self._lock = threading.RLock()  # a finalizer may end a span, which makes the tools
        self._is_cold = True
        self._is_measured = False
        self._is_closed = False
        self._metrics_due = self._clock.monotonic() + self._interval_seconds

    def reset(self) -> None:
        """Start again, in a forked process."""
        tools = self._tools or self._before
        if tools is not None and tools.queue is not None:
            tools.queue.reset()
            self._before = Tools(tools.tracer, queue=tools.queue)
        self._tools = None
        self._sender.reset()
        self._losses.reset()
        self._start()

    @property
    def _interval_seconds(self) -> float:
        return self.settings.otel_metric_interval / 1000

    def begin(self, arrival: Arrival) -> Span:
        """Start the span of an execution, and make it the current one in this context."""
        task, delivery = arrival.task, arrival.delivery
        parent, links = context.of_arrival(arrival)
        pairs = attributes.of_process(
            task,
            delivery,
            lane=arrival.lane,
            job=arrival.job,
            keys=self.settings.log_payloads,
        )
        pairs["faas.coldstart"], self._is_cold = self._is_cold, False
        if arrival.batch:
            pairs |= attributes.of_batch(arrival.batch)
        span = self._open().tracer.start_span(
            attributes.process_name(task, delivery, arrival.batch),
            context.under(parent),
            SpanKind.SERVER
            if task.kind in (Kind.HTTP, Kind.RAW) or pairs["faas.trigger"] == "timer"
            else SpanKind.CONSUMER,
            pairs,
            links,
        )
        contexts.attach(trace.set_span_in_context(span))
        self._measured(lambda metrics: metrics.began(arrival))
        return span

    def join(self, parent: str) -> Span:
        """Make a span of another process the current one in this context.

        Args:
            parent: the span, as `traceparent` has it.
        """
        span_context = context.of_message({context.PARENT_ATTRIBUTE: parent})
        span = NonRecordingSpan(span_context or trace.INVALID_SPAN_CONTEXT)
        contexts.attach(trace.set_span_in_context(span))
        return span

    def end(
        self,
        span: Span | None,
        arrival: Arrival,
        *,
        cause: Outcome,
        outcomes: Sequence[Outcome],
        error: BaseException | None = None,
        seconds: float = 0.0,
        status: int | None = None,
    ) -> None:
        """End the span of an execution.

        Args:
            span: None: it didn't begin.
            cause: the outcome of the function.
            outcomes: of its messages: the same; or DeadLettered, when one is on its topic.
            error: of the function.
            seconds: from its begin.
            status: of the HTTP response that the task returned.
        """
        kind = attributes.error_type(cause, error)
        if kind is None and status is not None and status >= 500:
            kind = str(status)
        if span is not None:
            settled = outcomes[0] if len(outcomes) == 1 else cause
            span.set_attribute("ucam_faas.outcome", name(settled))
            if status is not None:
                span.set_attribute("http.response.status_code", status)
            if kind is not None:
                self._fail(span, kind, error)
            span.end()
        took = None if span is None else seconds
        self._measured(lambda metrics: metrics.ended(arrival, kind, outcomes, took))

    def _fail(self, span: Span, kind: str, error: BaseException | None) -> None:
        """Note a failure in a span; its text, if the log has it."""
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))
        if error is not None and self.settings.log_exception_text:
            span.record_exception(error)

    @contextmanager
    def producing(
        self,
        operation: str,
        destination: str,
        count: int = 1,
        *,
        named: str = "",
        is_quiet: bool = False,
    ) -> Iterator[Span]:
        """Make the span of a publish or a send the current one, and end it.

        Args:
            operation: "publish" or "send".
            destination: the topic, as a full name or a short one.
            count: of messages.
            named: the span is, after the operation; default: after the topic.
            is_quiet: no span is made, because each message is in a trace already.
        """
        if is_quiet:
            yield trace.INVALID_SPAN
            return
        span: Span = trace.INVALID_SPAN
        with harmless():
            span = self._open().tracer.start_span(
                f"{operation} {named or attributes.short(destination)}",
                kind=SpanKind.PRODUCER,
                attributes=attributes.of_producing(operation, destination, count),
            )
        current = span if span.get_span_context().is_valid else trace.get_current_span()
        token = contexts.attach(trace.set_span_in_context(current))
        try:
            yield span
        except BaseException as error:
            self._fail(span, type(error).__qualname__, error)
            raise
        finally:
            contexts.detach(token)
            with harmless():
                span.end()

    def sent(self, topic: str, count: int, error: BaseException | None, seconds: float) -> None:
        """Count messages that were published, or not, to a topic."""
        self._measured(lambda metrics: metrics.sent_to(topic, count, error, seconds))

    def abandoned(self, task: Task) -> None:
        """Count a thread that is stuck past its deadline."""
        self._measured(lambda metrics: metrics.abandoned(task))

    def injected(self, of_message: Mapping[str, str]) -> dict[str, str]:
        """Return a message's attributes with the current trace, unless they have one."""
        return context.injected(of_message, trace.get_current_span().get_span_context())

    def current(self) -> str:
        """Return the current trace, as `traceparent` has it; empty: there is none."""
        span_context = trace.get_current_span().get_span_context()
        return context.parent_text(span_context) if span_context.is_valid else ""

    def _measured(self, measure: Callable[[Metrics], object]) -> None:
        """Record measurements, and have them exported when the interval ends."""
        with harmless():
            tools = self._open()
            if tools.metrics is None:
                return
            measure(tools.metrics)
            if tools.reader is not None and not self._is_measured:
                self._is_measured = True
                self._sender.wake(max(0.0, self._metrics_due - self._clock.monotonic()))

    def open(self) -> None:
        """Make the providers, after the fork: they are there for the spans of user code, too."""
        self._open()

    def _open(self) -> Tools:
        """Return the means of this process."""
        tools = self._tools
        if tools is None:
            with self._lock:
                try:
                    tools = self._tools = self._tools or self._make()
                except (ValueError, OSError) as error:
                    raise ConfigurationError(f"A variable of OpenTelemetry: {error}.") from error
        return tools

    def _make(self) -> Tools:
        atexit.register(self.close)
        their_tracers, their_meters = provider_of_user("trace"), provider_of_user("metrics")
        tracers, meters, queue, reader = their_tracers, their_meters, None, None
        tracer: Tracer | None = None
        if self._before is not None:
            tracer, queue = self._before.tracer, self._before.queue
        elif tracers is None and self._traces:
            tracers, queue = providers.tracer_provider(
                self.settings, self._filled, self._sender.flush, self._losses.lose
            )
        if meters is None and self._metrics:
            meters, reader = providers.meter_provider(self.settings)
        others = [each for each in (their_tracers, their_meters) if hasattr(each, "force_flush")]
        return Tools(
            tracer or (tracers or trace.NoOpTracerProvider()).get_tracer(SCOPE),
            None if meters is None else Metrics(meters, SCOPE),
            queue,
            reader,
            tuple(others),
        )

    @property
    def _is_open(self) -> bool:
        """There may be something to export."""
        return self._tools is not None or self._before is not None

    def flush(self, seconds: float) -> bool:
        """Export now; return True if that is done within a time."""
        return not self._is_open or self._sender.flush(seconds)

    async def flush_async(self, seconds: float) -> bool:
        """Export now; return True if that is done within a time."""
        return not self._is_open or await self._sender.flush_async(seconds)

    def hurry(self) -> None:
        """Export soon, metrics too, without a wait: the process ends, and so may its collector."""
        if self._is_open:
            self._metrics_due = self._clock.monotonic()
            self._sender.wake(0.0)

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Export for the last time in this process, and say how much was lost."""
        tools = self._tools or self._before
        if tools is None or self._is_closed:
            return
        self._is_closed = True
        if not self._sender.flush(seconds, last=True):
            if tools.queue:
                self._losses.lose(len(tools.queue), UNANSWERED, tools.queue.failure)
            if tools.reader is not None and tools.reader.is_busy:
                self._losses.say("metrics", UNANSWERED, tools.reader.connection.failure)
        self._losses.end()

    def _filled(self, is_many: bool) -> None:
        self._sender.wake(0.0 if is_many else self.settings.otel_delay / 1000)

    def _export(self, is_last: bool) -> bool:
        """Export all there is; in the thread of the sender."""
        tools, succeeded = self._tools or self._before, True
        if tools is None:
            return True
        contexts.attach(contexts.set_value(_SUPPRESSED, True))  # or the export would make spans
        if tools.queue is not None:
            succeeded &= tools.queue.export()
        is_due = is_last or self._clock.monotonic() >= self._metrics_due
        if tools.reader is not None and self._is_measured and is_due:
            self._is_measured = False
            self._metrics_due = self._clock.monotonic() + self._interval_seconds
            if failure := tools.reader.export():
                self._losses.say("metrics", RECEIVER_FAILED, failure)
                succeeded = False
        for provider in tools.others:
            succeeded &= provider.force_flush() is not False
        return succeeded


_SUPPRESSED: str = getattr(contexts, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
