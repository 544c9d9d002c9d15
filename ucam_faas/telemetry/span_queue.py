"""Ended spans on their way to the exporter: a bounded queue; those that are lost are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from ucam_faas.telemetry.connection import Connection
from ucam_faas.telemetry.losses import QUEUE_IS_FULL, RECEIVER_FAILED

MAX_EXPORTED = 512
"""Spans in one request."""


class SpanQueue(SpanProcessor):
    """Keeps ended spans until they are exported.

    Args:
        connect: returns a connection, which is used in the thread that calls `export`.
        limit: the most spans that wait; further ones are lost.
        filled: called, in the thread that ends a span, with True if many wait.
        flush: exports within a time in seconds, and returns True if that is done.
        lost: called with the number of spans that were lost, the reason, and why the receiver
            failed, if it did.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        limit: int,
        filled: Callable[[bool], object],
        flush: Callable[[float], bool],
        lost: Callable[[int, str, str], object],
    ) -> None:
        self._connect = connect
        self._connection: Connection | None = connect()
        self._of_parent: Connection | None = None
        self._limit = limit
        self._filled = filled
        self._flush = flush
        self._lost = lost
        self._spans: deque[ReadableSpan] = deque()
        self._under_way = 0

    def reset(self) -> None:
        """Start empty, in a forked process: the spans and the connection are the parent's."""
        self._of_parent, self._connection = self._connection, None  # kept: its locks may be held
        self._spans.clear()
        self._under_way = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if len(self._spans) >= self._limit:
            self._lost(1, QUEUE_IS_FULL, "")
            return
        self._spans.append(span)
        self._filled(len(self._spans) >= MAX_EXPORTED)

    def export(self) -> bool:
        """Export the spans that wait, and return False if some are lost.

        One request that fails ends it: each of the others would wait for its time-out. Spans that
        end meanwhile are left to the next export: a flush doesn't wait for them.
        """
        self._connection = self._connection or self._connect()
        left = len(self._spans)
        while left > 0:
            some = [self._spans.popleft() for _ in range(min(MAX_EXPORTED, left))]
            left -= len(some)
            self._under_way = len(some)
            failure = self._connection.export(some)
            self._under_way = 0
            if failure:
                self._lost(len(some), RECEIVER_FAILED, failure)
                return False
        return True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export now, for user code; return True if that is done within the time."""
        return self._flush(timeout_millis / 1000)

    @property
    def failure(self) -> str:
        """Why the last request failed, while another try is due."""
        return self._connection.failure if self._connection else ""

    def __len__(self) -> int:
        return len(self._spans) + self._under_way
