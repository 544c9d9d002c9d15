"""A publisher that puts the trace into messages, and makes a span of each publish."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.clock import SystemClock
from ucam_faas.events.tracing import TRACE_ATTRIBUTES
from ucam_faas.gcp.limits import MAX_MESSAGE_BYTES
from ucam_faas.publishing import Draft, Publisher
from ucam_faas.telemetry.telemetry import Telemetry

MAX_BYTES = MAX_MESSAGE_BYTES - 1_200_000
"""Larger requests stay as they are: a trace in each of 1000 messages could take them over Pub/Sub's
limit."""


class TracedPublisher(Publisher):
    """Publishes messages that belong to a trace.

    A message that has a context keeps it: its sender has made the span. Wakes have one.

    Args:
        publisher: publishes them.
        telemetry: of the process.
    """

    def __init__(self, publisher: Publisher, telemetry: Telemetry) -> None:
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = SystemClock()

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages in one call, and return their ids when Pub/Sub has them."""
        is_traced = all(TRACE_ATTRIBUTES[0] in draft.attributes for draft in drafts)
        began, error = self._clock.monotonic(), None
        with self._telemetry.producing("publish", topic, len(drafts), is_quiet=is_traced) as span:
            if sum(map(_size, drafts)) <= MAX_BYTES:
                drafts = [
                    draft._replace(attributes=self._telemetry.injected(draft.attributes))
                    for draft in drafts
                ]
            try:
                ids = self._publisher.publish_many(topic, drafts, timeout_seconds=timeout_seconds)
            except Exception as raised:
                error = raised
                raise
            finally:
                seconds = self._clock.monotonic() - began
                self._telemetry.sent(topic, len(drafts), error, seconds)
            if len(ids) == 1:
                span.set_attribute("messaging.message.id", ids[0])
            return ids


def _size(draft: Draft) -> int:
    attributes = sum(len(name) + len(value) for name, value in draft.attributes.items())
    return len(draft.data) + len(draft.ordering_key) + attributes
