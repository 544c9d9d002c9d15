"""Trace context of a delivery: from headers or message attributes to Cloud Logging's fields.

Sources: W3C Trace Context; Google's page "Trace context" (X-Cloud-Trace-Context).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_CLOUD = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]+))?.*")


TRACE_ATTRIBUTES = ("googclient_traceparent", "googclient_tracestate")
"""The message attributes in which Google's publisher clients put the trace context."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A delivery's place in a distributed trace; ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str | None = None
    sampled: bool | None = None


def from_headers(headers: Mapping[str, str]) -> Trace | None:
    """Read `traceparent`, or else `X-Cloud-Trace-Context`; a malformed one counts as none."""
    traceparent = headers.get("traceparent")
    trace = _from_traceparent(traceparent) if traceparent else None
    if trace is not None:
        return trace
    text = headers.get("x-cloud-trace-context")
    match = _CLOUD.fullmatch(text) if text else None
    if not match:
        return None
    trace_id, span, sampled = match.groups()
    if not int(trace_id, 16):
        return None
    return Trace(
        trace_id.lower(),
        format(int(span) % 2**64, "016x") if span else None,
        None if sampled is None else sampled == "1",
    )


def from_attributes(attributes: Mapping[str, str]) -> Trace | None:
    """Read the trace context that Google's publisher clients put into a message."""
    text = attributes.get(TRACE_ATTRIBUTES[0])
    return _from_traceparent(text) if text else None


def _from_traceparent(text: str) -> Trace | None:
    match = _TRACEPARENT.fullmatch(text)
    if not match or text.startswith("ff"):
        return None
    trace_id, span_id, flags = match.groups()
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))
