"""The five fields of a cron expression, checked as Cloud Scheduler documents them.

Source: Google's page "Cron job format and time zone". It says whether an expression is one, and on
which days it is due. "every 15 minutes" and "rate(15 minutes)" are other spellings of some of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days of the months, in a leap year."""


_RATE = re.compile(r"(?:every|rate)\b(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_INTERVAL = re.compile(
    r"\s*(?:every\s+(?:(\d{1,4})\s+)?(minute|hour|day)s?"
    r"|rate\(\s*(\d{1,4})\s+(minute|hour|day)s?\s*\))\s*",
    re.IGNORECASE,
)
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}


class CronError(ValueError):
    """A text is no cron expression; the message names the field, what was found and the range."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.lowest}-{self.highest}{names}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)
_ANY = "*"
_PART = re.compile(r"(?:\*|([0-9]{1,4}|[A-Za-z]+)(?:-([0-9]{1,4}|[A-Za-z]+))?)(?:/([0-9]{1,4}))?")


def expand(expression: str) -> str:
    """Return the five fields of an interval; any other text as it is.

    The runs of an interval are at the same minutes of every hour, or hours of every day, which is
    why only divisors of 60 minutes and of 24 hours are one.

    Raises:
        CronError: there is no cron expression for the interval.

    >>> expand("every 15 minutes"), expand("rate(6 hours)"), expand("every day")
    ('*/15 * * * *', '0 */6 * * *', '0 0 * * *')
    """
    if not _RATE.match(expression.strip()):
        return expression
    found = _INTERVAL.fullmatch(expression)
    if found is None:
        raise CronError(
            "expected an interval such as every 15 minutes, every 6 hours, every day, or "
            "rate(15 minutes)"
        )
    minutes = int(found[1] or found[3] or 1) * _MINUTES[(found[2] or found[4]).lower()]
    if minutes == 24 * 60:
        return "0 0 * * *"
    if 0 < minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if minutes and minutes % 60 == 0 and 24 * 60 % minutes == 0:
        return f"0 */{minutes // 60} * * *" if minutes > 60 else "0 * * * *"
    raise CronError(
        "an interval must divide the hour or the day evenly: expected 1, 2, 3, 4, 5, 6, 10, 12, "
        "15, 20 or 30 minutes, 1, 2, 3, 4, 6, 8 or 12 hours, or 1 day; others are cron expressions"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The values that an expression lets through. Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    """The day of the month is `*`."""
    any_weekday: bool

    def has_day(self, day: date) -> bool:
        """Tell whether it is due on a day: if both are restricted, either of them is enough.

        >>> parse("0 0 13 * FRI").has_day(date(2026, 11, 20))
        True
        """
        if day.month not in self.months:
            return False
        of_month = day.day in self.days
        of_week = day.isoweekday() % 7 in self.weekdays
        both = self.any_day or self.any_weekday
        return (of_month and of_week) if both else (of_month or of_week)


def parse(expression: str) -> Times:
    """Read an expression.

    Raises:
        CronError: it is not one that Cloud Scheduler would take; with the field and its range.
    """
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise CronError(f"{len(texts)} fields: expected five, for {names}")
    found = [_values(field, text) for field, text in zip(_FIELDS, texts, strict=True)]
    minutes, hours, days, months, weekdays = map(frozenset, found)
    return Times(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=texts[2] == _ANY,
        any_weekday=texts[4] == _ANY,
    )


def check(expression: str) -> None:
    """Refuse what Cloud Scheduler would not take, and what could never be due.

    Raises:
        CronError: with the field and its range.

    >>> check("*/15 8-18 * * MON-FRI")
    >>> check("0 24 * * *")
    Traceback (most recent call last):
    ...
    ucam_faas.gcp.cron_syntax.CronError: hour '24': expected 0-23
    """
    found = parse(expression)
    longest = max(_LONGEST[month - 1] for month in found.months)
    if found.any_weekday and min(found.days) > longest:
        _, _, days, months, _ = expression.split()
        raise CronError(f"day of month {days!r}: no month of {months!r} has it")


def _values(field: _Field, text: str) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise CronError(
                f"{field.name} {text!r}: expected {field}, *, a range such as "
                f"{field.lowest}-{field.highest}, a step such as */2, or a list of these"
            )
        first, last, step = match.groups()
        low = field.lowest if first is None else _number(field, first)
        high = field.highest if first is None else _number(field, last or first)
        if low > high:
            raise CronError(f"{field.name} {part!r}: expected a range that goes up within {field}")
        if step is not None and first is not None and last is None:
            ranged = f"{first}-{field.highest}/{step}"
            raise CronError(f"{field.name} {part!r}: expected a step after a range: {ranged}")
        if step is not None and not 1 <= int(step) <= field.highest:
            raise CronError(f"{field.name} {part!r}: expected a step of 1 to {field.highest}")
        values.update(range(low, high + 1, int(step or 1)))
    return values


def _number(field: _Field, text: str) -> int:
    if text.upper() in field.names:
        return field.lowest + field.names.index(text.upper())
    if not text.isdigit() or not field.lowest <= int(text) <= field.highest:
        raise CronError(f"{field.name} {text!r}: expected {field}")
    return int(text)
