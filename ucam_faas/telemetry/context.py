"""Trace contexts: from headers and message attributes to OpenTelemetry's, and into messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, TraceState

from ucam_faas.events import tracing
from ucam_faas.events.tracing import TRACE_ATTRIBUTES, Trace
from ucam_faas.gcp.limits import MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES
from ucam_faas.telemetry.arrival import Arrival

logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
"""Its warnings have `tracestate` in full: a sender's text, of any length."""

PARENT_ATTRIBUTE, STATE_ATTRIBUTE = TRACE_ATTRIBUTES


def of_message(attributes: Mapping[str, str]) -> SpanContext | None:
    """Return the context that the publisher of a message has put into it."""
    parsed = tracing.from_attributes(attributes)
    return _span_context(parsed, attributes.get(STATE_ATTRIBUTE))


def of_request(headers: Mapping[str, str]) -> SpanContext | None:
    """Return the context of a request."""
    return _span_context(tracing.from_headers(headers), headers.get("tracestate"))


def of_arrival(arrival: Arrival) -> tuple[SpanContext | None, list[Link]]:
    """Return the parent of the span of an execution, and its links.

    The parent is the message, or else the request; the links are to both, to the message that woke
    a job, and to those of a batch.
    """
    message, request = arrival.delivery.message, of_request(arrival.delivery.headers)
    parent = None if message is None else of_message(message.attributes)
    links = [] if parent is None else [parent, request]
    if arrival.wake is not None and (wake := of_message(arrival.wake)) != parent:
        links.append(wake)
    messages = [each.message for each in arrival.batch if each.message is not None]
    links += [of_message(each.attributes) for each in messages]
    return parent or request, [Link(each) for each in links if each is not None]


def under(parent: SpanContext | None) -> Context | None:
    """Return the context of a span that has this parent; None: the current one."""
    return None if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))


def parent_text(span_context: SpanContext) -> str:
    """Return a context as the value of `traceparent`."""
    flags = span_context.trace_flags & 0xFF
    return f"00-{span_context.trace_id:032x}-{span_context.span_id:016x}-{flags:02x}"


def injected(attributes: Mapping[str, str], span_context: SpanContext) -> dict[str, str]:
    """Return a message's attributes with a context, unless it has one, or there is no room."""
    added = dict(attributes)
    if PARENT_ATTRIBUTE in added or len(added) >= MAX_ATTRIBUTES or not span_context.is_valid:
        return added
    added[PARENT_ATTRIBUTE] = parent_text(span_context)
    state = span_context.trace_state.to_header()
    if state and len(state) <= MAX_ATTRIBUTE_VALUE_BYTES and len(added) < MAX_ATTRIBUTES:
        added[STATE_ATTRIBUTE] = state  # the length is a sender's: Pub/Sub would refuse the message
    return added


def _span_context(parsed: Trace | None, state: str | None) -> SpanContext | None:
    if parsed is None or parsed.span_id is None:
        return None
    flags = TraceFlags.DEFAULT if parsed.sampled is False else TraceFlags.SAMPLED
    return SpanContext(
        int(parsed.trace_id, 16),
        int(parsed.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState.from_header([state]) if state else None,
    )
