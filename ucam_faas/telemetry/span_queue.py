"""Ended spans on their way to the exporter: a bounded queue; those that are lost are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

MAX_EXPORTED = 512
"""Spans in one request."""


class SpanQueue(SpanProcessor):
    """Keeps ended spans until they are exported.

    Args:
        exporter: exports them, in the thread that calls `export`.
        limit: the most spans that wait; further ones are lost.
        filled: called, in the thread that ends a span, with True if many wait.
        flush: exports within a time in seconds, and returns True if that is done.
        lost: called with the number of spans that were lost, and why.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        limit: int,
        filled: Callable[[bool], object],
        flush: Callable[[float], bool],
        lost: Callable[[int, str], object],
    ) -> None:
        self._exporter = exporter
        self._limit = limit
        self._filled = filled
        self._flush = flush
        self._lost = lost
        self._spans: deque[ReadableSpan] = deque()
        self._under_way = 0

    def reset(self) -> None:
        """Start empty, in a forked process: the spans are the parent's."""
        self._spans.clear()
        self._under_way = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if len(self._spans) >= self._limit:
            self._lost(1, "the queue is full")
            return
        self._spans.append(span)
        self._filled(len(self._spans) >= MAX_EXPORTED)

    def export(self) -> bool:
        """Export the spans that wait, and return False if some are lost.

        One request that fails ends it: each of the others would wait for its time-out.
        """
        while self._spans:
            some = [self._spans.popleft() for _ in range(min(MAX_EXPORTED, len(self._spans)))]
            self._under_way = len(some)
            result = self._exporter.export(some)
            self._under_way = 0
            if result is not SpanExportResult.SUCCESS:
                self._lost(len(some), "the receiver failed, or didn't answer")
                return False
        return True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export now, for user code; return True if that is done within the time."""
        return self._flush(timeout_millis / 1000)

    def __len__(self) -> int:
        return len(self._spans) + self._under_way
