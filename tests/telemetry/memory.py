"""Telemetry that is kept in memory, for tests of its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.publishing.traced import TracedPublisher
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Kind
from ucam_faas.telemetry.metrics import Metrics
from ucam_faas.telemetry.telemetry import Telemetry, Tools
from ucam_faas.testing import Push


@dataclass
class Recorder:
    """A runtime whose telemetry is kept."""

    runtime: Runtime
    publisher: MemoryPublisher
    _spans: InMemorySpanExporter
    _metrics: InMemoryMetricReader

    def run(self, function: Any, push: Push) -> Conclusion:
        """Run a task on a push."""
        task = registry.task_of(function)
        assert task is not None
        headers = _lower(push.headers)
        if task.kind is Kind.RAW:
            delivery = envelopes.raw(push.body, headers)
        else:
            delivery = envelopes.decode(push.body, headers)
        return execute(Execution(task, delivery, self.runtime))

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """Return the spans that have ended."""
        return [span for span in self._spans.get_finished_spans() if name in (None, span.name)]

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        spans = self.spans(name)
        assert len(spans) == 1, [span.name for span in self.spans()]
        return spans[0]

    def metrics(self) -> dict[str, list[Any]]:
        """Return the data points of all metrics."""
        data = self._metrics.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def recorder(
    *topics: str, store: JobStore | None = None, clock: Clock | None = None, **settings: Any
) -> Recorder:
    """Return a runtime with telemetry, and a publisher to these topics."""
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([metrics], shutdown_on_exit=False)
    chosen = Settings(**{"project": "p", **settings})
    tools = Tools(tracers.get_tracer("ucam_faas"), Metrics(meters, "ucam_faas"))
    telemetry = Telemetry(chosen, tools=tools)
    publisher = MemoryPublisher({f"projects/p/topics/{topic}": [] for topic in topics})
    runtime = Runtime(
        chosen,
        clock or SystemClock(),
        TracedPublisher(publisher, telemetry),
        store=store,
        telemetry=telemetry,
    )
    return Recorder(runtime, publisher, spans, metrics)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
