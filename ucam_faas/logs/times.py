"""Times for people, in the local time zone; and for JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00")


def time_text(time: float) -> str:
    """Return a time (seconds since the epoch) for people."""
    return datetime.fromtimestamp(time).astimezone().strftime("%a %d %b %Y %H:%M:%S %Z")


def utc_text(time: float | None) -> str | None:
    """Return a time (seconds since the epoch) as ISO 8601 has it, in UTC, for JSON."""
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat()


def with_local_times(text: str) -> str:
    """Return a text whose times are local: a sleep's reason has its end in UTC."""
    return _UTC.sub(lambda match: time_text(datetime.fromisoformat(match[0]).timestamp()), text)
