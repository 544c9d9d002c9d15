"""The providers of spans and metrics: those that user code has set, or else the package's own.

The package's own export over OTLP, as the standard variables say, and become the global ones: the
spans of user code and of its libraries are exported, too.
"""

from __future__ import annotations

import logging
import os
import random
import uuid
from collections.abc import Callable
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from ucam_faas.config import Settings
from ucam_faas.telemetry.connection import Connection
from ucam_faas.telemetry.of_user import is_set
from ucam_faas.telemetry.span_queue import SpanQueue


class OwnTracerProvider(TracerProvider):
    """The package's own, so that it is known from one of user code."""

    is_of_ucam_faas = True


class OwnMeterProvider(MeterProvider):
    """The package's own, so that it is known from one of user code."""

    is_of_ucam_faas = True


_RANDOM = random.Random()
"""Not the shared one, which a task may seed."""
os.register_at_fork(after_in_child=_RANDOM.seed)  # or all children would make the same ids


class _Ids(RandomIdGenerator):
    """Makes ids with a generator of its own."""

    def generate_span_id(self) -> int:
        return _RANDOM.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return _RANDOM.getrandbits(128) or 1


class Reader(MetricReader):
    """Exports metrics when it is told to, without a thread of its own.

    Args:
        connection: exports them, in the thread that calls `export`.
    """

    def __init__(self, connection: Connection) -> None:
        # The variables about temporality and histograms are read by the exporter.
        super().__init__(
            preferred_temporality=connection.exporter._preferred_temporality,
            preferred_aggregation=connection.exporter._preferred_aggregation,
        )
        self.connection = connection
        self._failure = ""
        self.is_busy = False

    def export(self) -> str:
        """Collect and export, and return why that failed; empty: it succeeded."""
        self._failure = ""
        self.collect()
        return self._failure

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self.is_busy = True
        self._failure = self.connection.export(metrics_data)
        self.is_busy = False

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: the end of the process exports."""


def resource(settings: Settings) -> Resource:
    """Return the description of this process; the standard variables win."""
    named = OTELResourceDetector().detect().attributes
    own: dict[str, Any] = {
        "service.name": settings.service,
        "service.instance.id": str(uuid.uuid4()),
    }
    if settings.revision:  # on Cloud Run
        own |= {
            "service.version": settings.revision,
            "faas.name": settings.service,
            "faas.version": settings.revision,
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_run",
        }
    if settings.project:
        own["cloud.account.id"] = settings.project
    return Resource.create({name: value for name, value in own.items() if name not in named})


def tracer_provider(
    settings: Settings,
    filled: Callable[[bool], object],
    flush: Callable[[float], bool],
    lost: Callable[[int, str, str], object],
) -> tuple[OwnTracerProvider, SpanQueue]:
    """Return the package's own provider of spans, and its queue; it is the global one now.

    Args:
        filled, flush, lost: see `SpanQueue`.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    queue = SpanQueue(
        lambda: Connection(OTLPSpanExporter), settings.otel_max_queue, filled, flush, lost
    )
    _keep_silent()
    provider = OwnTracerProvider(
        resource=resource(settings), id_generator=_Ids(), shutdown_on_exit=False
    )
    provider.add_span_processor(queue)
    if not is_set("trace"):
        trace.set_tracer_provider(provider)
    return provider, queue


def meter_provider(settings: Settings) -> tuple[OwnMeterProvider, Reader]:
    """Return the package's own provider of metrics, and its reader; it is the global one now."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    reader = Reader(Connection(OTLPMetricExporter))
    _keep_silent()
    provider = OwnMeterProvider([reader], resource=resource(settings), shutdown_on_exit=False)
    if not is_set("metrics"):
        metrics.set_meter_provider(provider)
    return provider, reader


def _keep_silent() -> None:
    """Log a failure once, by the package, and not at each attempt by an exporter.

    Its warnings about variables come before.
    """
    logger = logging.getLogger("opentelemetry.exporter")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
