"""The clock changes of a time zone, and the times of a schedule that they skip or repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from ucam_faas.gcp.cron import Times

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change to or from daylight-saving time.

    Args:
        begin: the first local time that is skipped or repeated.
        end: the first local time after those.
        skips: True: forward; False: back.
    """

    begin: datetime
    end: datetime
    skips: bool


@lru_cache
def changes(zone: tzinfo, first: date, last: date) -> tuple[ClockChange, ...]:
    """Return the changes of a zone's clocks between two days."""
    return tuple(_changes(zone, first, last))


def _changes(zone: tzinfo, first: date, last: date) -> Iterator[ClockChange]:
    at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    until = datetime(last.year, last.month, last.day, tzinfo=UTC)
    before = _offset(zone, at)
    while at < until:
        after = _offset(zone, at + _DAY)
        if after != before:
            shown = _moment(zone, at, before).replace(tzinfo=None)
            low, high = sorted((shown + before, shown + after))
            yield ClockChange(low, high, skips=after > before)
        at, before = at + _DAY, after


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None, "zones of the database have an offset"
    return offset


def _moment(zone: tzinfo, low: datetime, before: timedelta) -> datetime:
    """Return the minute within a day at which the offset changes."""
    first, last = 0, int(_DAY / _MINUTE)
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(zone, low + middle * _MINUTE) == before:
            first = middle
        else:
            last = middle
    return low + last * _MINUTE


def hit(times: Times, change: ClockChange) -> datetime | None:
    """Return the first time of a schedule that a change of the clocks skips or repeats."""
    at = change.begin
    while at < change.end:
        if at.minute in times.minutes and at.hour in times.hours and times.has_day(at.date()):
            return at
        at += _MINUTE
    return None
