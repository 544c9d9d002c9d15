"""Durations for people."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Return a duration for people, in its largest unit.

    >>> duration_text(0.4), duration_text(90), duration_text(7199.9), duration_text(200000)
    ('0 s', '1 min', '2 h', '2 d')
    """
    seconds = round(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
