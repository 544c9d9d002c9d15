"""Durations for people, and by people."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def duration_text(seconds: float) -> str:
    """Return a duration for people, in its largest unit.

    >>> duration_text(0.4), duration_text(90), duration_text(7199.9), duration_text(200000)
    ('0 s', '1 min', '2 h', '2 d')
    """
    seconds = round(seconds)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def exact_text(duration: timedelta) -> str:
    """Return a duration for people, in all of its units.

    >>> exact_text(timedelta(minutes=90)), exact_text(timedelta(seconds=-0.5))
    ('1 h 30 min', '-0.5 s')
    """
    sign, rest = "-" if duration < timedelta(0) else "", abs(duration)
    parts = []
    for seconds, unit in _UNITS:
        count, rest = divmod(rest, timedelta(seconds=seconds))
        parts += [f"{count} {unit}"] if count else []
    if rest or not parts:
        parts.append(f"{rest.total_seconds():g} s")
    return sign + " ".join(parts)


_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = r"(\d+(?:\.\d+)?)\s*(min|[smhdw])"


def read_duration(text: str) -> timedelta:
    """Return the duration that a person has written.

    Raises:
        ValueError: with the form that is expected.

    >>> read_duration("1h 30min"), read_duration("2.5s")
    (datetime.timedelta(seconds=5400), datetime.timedelta(seconds=2, microseconds=500000))
    """
    small = text.strip().lower()
    if not re.fullmatch(rf"(?:{_PART}\s*)+", small):
        raise ValueError(f"{text!r}: expected a number with its unit, such as 30s, 5m, 2h or 7d.")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, small))
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{text!r}: this is longer than Python can count.") from error
