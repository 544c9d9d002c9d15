"""Cloud Scheduler's schedules: five cron fields or an interval, and when they run. Pure.

Sources: Google's pages "Cron job format and time zone" (also named "Configure cron job schedules")
and "Job" of Cloud Scheduler. About changing clocks they say that Cloud Scheduler runs on wall clock
time, that jobs in zones with daylight saving time may run or not run unexpectedly, mostly where a
time occurs twice, and that UTC avoids it. This module takes that literally: a job runs whenever the
zone's clock shows a minute that matches. A time that the clock skips doesn't run, and a time that
it shows twice runs twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from ucam_faas.exceptions import UCAMFAASException

LONGEST_SHOWN = 100
"""Characters of a bad schedule that its error repeats."""


class ScheduleError(UCAMFAASException, ValueError):
    """Cloud Scheduler doesn't document this schedule or time zone, or it never runs."""


# -- five fields ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """The names of the values from `low` on, in capitals."""

    def __str__(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names}"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),  # both 0 and 7 are Sunday
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ANY = "*"
_TERM = re.compile(r"(?:\*|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:/([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The minutes that an expression matches. Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    """The day of the month is `*`."""
    any_weekday: bool

    def has_day(self, day: date) -> bool:
        """Return True if it runs on a day: if both are restricted, either of them is enough.

        Only a bare `*` leaves one unrestricted, as documented (so `*/2` restricts).

        >>> parse("0 0 13 * FRI").has_day(date(2026, 11, 20))
        True
        """
        if day.month not in self.months:
            return False
        of_month = day.day in self.days
        of_week = day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return of_month and of_week
        return of_month or of_week

    def after(self, shown: datetime) -> Iterator[datetime]:
        """Yield the matching times after `shown`, as if no clock ever changed.

        Args:
            shown: wall clock time, without a time zone, as are the results.

        Raises:
            OverflowError: the calendar ends.
        """
        hours, minutes = sorted(self.hours), sorted(self.minutes)
        day, first_hour = shown.date(), shown.hour
        while True:
            if self.has_day(day):
                for hour in hours:
                    if hour < first_hour:
                        continue
                    for minute in minutes:
                        match = datetime(day.year, day.month, day.day, hour, minute)
                        if match > shown:
                            yield match
            first_hour = 0
            if day.month in self.months:
                day += timedelta(days=1)
            else:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def parse(expression: str) -> Times:
    """Read the five fields of unix-cron, in their documented form.

    These are `*`, numbers, ranges, `/` steps after `*` or a range, lists, and the names of months
    and days in any case.

    Raises:
        ScheduleError: with the field and its range; or the schedule never runs.
    """
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise ScheduleError(f"{len(texts)} fields: expected five, for {names}")
    values = [_values(field, text) for field, text in zip(_FIELDS, texts, strict=True)]
    minutes, hours, days, months, weekdays = map(frozenset, values)
    if texts[4] == _ANY and min(days) > max(_LONGEST_MONTHS[month - 1] for month in months):
        raise ScheduleError(f"it never runs: no month of {_shown(texts[3])} has a day {min(days)}")
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
    """Refuse an expression that `parse` refuses, or with a step longer than its field.

    Cloud Scheduler takes `*/90` minutes, and runs the job each hour.

    Raises:
        ScheduleError: with the field and its range.

    >>> check("*/15 8-18 * * MON-FRI")
    >>> check("0 24 * * *")
    Traceback (most recent call last):
    ...
    ucam_faas.gcp.cron.ScheduleError: hour '24': expected 0-23
    """
    parse(expression)
    for field, text in zip(_FIELDS, expression.split(), strict=True):
        if any(int(step) > field.high for step in re.findall(r"/(\d+)", text)):
            raise _bad(field, text, f"expected a step of 1 to {field.high}")


def _values(field: _Field, text: str) -> set[int]:
    return {value for term in text.split(",") for value in _term(field, term)}


def _term(field: _Field, text: str) -> range:
    """Return the values of one part of a list."""
    match = _TERM.fullmatch(text)
    if match is None:
        raise _bad(
            field,
            text,
            f"expected {field}, *, a range such as {field.low}-{field.high}, a step such as */2, "
            "or a list of these",
        )
    first, last, step = match.groups()
    low = field.low if first is None else _number(field, first, text)
    high = field.high if first is None else _number(field, last or first, text)
    if high < low:
        raise _bad(field, text, f"expected a range that goes up within {field}")
    if step is not None and first is not None and last is None:
        raise _bad(field, text, f"expected a step after * or a range: {first}-{field.high}/{step}")
    if step is not None and int(step) == 0:
        raise _bad(field, text, f"expected a step of 1 to {field.high}")
    return range(low, high + 1, int(step or 1))


def _number(field: _Field, value: str, term: str) -> int:
    if value.upper() in field.names:
        return field.low + field.names.index(value.upper())
    if not (value.isdigit() and len(value) < 10 and field.low <= int(value) <= field.high):
        raise _bad(field, term, f"expected {field}")
    return int(value)


def _bad(field: _Field, text: str, expected: str) -> ScheduleError:
    return ScheduleError(f"{field.name} {_shown(text)}: {expected}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")


# -- intervals ------------------------------------------------------------------------------------

_RATE = re.compile(r"(?:every|rate)\b(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_INTERVAL = re.compile(
    r"\s*(?:every\s+(?:(\d{1,4})\s+)?(minute|hour|day)s?"
    r"|rate\(\s*(\d{1,4})\s+(minute|hour|day)s?\s*\))\s*",
    re.IGNORECASE,
)
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}


def expand(expression: str) -> str:
    """Return the five fields of an interval in a decorator; any other text as it is.

    Runs are at the same minutes of every hour, or the same hours of every day, which is why an
    interval must divide 60 minutes or 24 hours.

    Raises:
        ScheduleError: there is no cron expression for the interval.

    >>> expand("every 15 minutes"), expand("rate(6 hours)"), expand("every day")
    ('*/15 * * * *', '0 */6 * * *', '0 0 * * *')
    """
    if not _RATE.match(expression.strip()):
        return expression
    match = _INTERVAL.fullmatch(expression)
    if match is None:
        raise ScheduleError(
            "expected an interval such as every 15 minutes, every 6 hours, every day, or "
            "rate(15 minutes)"
        )
    minutes = int(match[1] or match[3] or 1) * _MINUTES[(match[2] or match[4]).lower()]
    if minutes == 24 * 60:
        return "0 0 * * *"
    if 0 < minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if minutes and minutes % 60 == 0 and 24 * 60 % minutes == 0:
        return f"0 */{minutes // 60} * * *" if minutes > 60 else "0 * * * *"
    raise ScheduleError(
        "an interval must divide the hour or the day evenly: expected 1, 2, 3, 4, 5, 6, 10, 12, "
        "15, 20 or 30 minutes, 1, 2, 3, 4, 6, 8 or 12 hours, or 1 day; others are cron expressions"
    )


_EVERY = re.compile(r"every +([1-9][0-9]{0,5}) +(minutes|mins|hours)", re.IGNORECASE)


def _google_interval(expression: str) -> timedelta | None:
    """Return the interval of Google's English-like format, if it is one."""
    match = _EVERY.fullmatch(expression.strip())
    if not match:
        if expression.split()[:1] and expression.split()[0].lower() == "every":
            raise ScheduleError(
                "of the English-like format, only 'every N minutes', 'every N mins' and "
                "'every N hours' are supported by the ucam-faas emulator"
            )
        return None
    unit = timedelta(hours=1) if match[2].lower() == "hours" else timedelta(minutes=1)
    return int(match[1]) * unit


# -- time zones and runs --------------------------------------------------------------------------

_NOT_OF_THE_DATABASE = ("localtime", "posixrules", "posix/", "right/")
"""A machine's zone directory has these names; the time zone database doesn't."""


def read_zone(name: str) -> tzinfo:
    """Return the zone of a name in the time zone database.

    Raises:
        ScheduleError: there is no such zone.
    """
    if name in ("UTC", "Etc/UTC"):
        return UTC
    import zoneinfo  # here: few modules that hold tasks have schedules

    try:
        if name.startswith(_NOT_OF_THE_DATABASE):
            raise ValueError(name)
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = "expected a name in the time zone database, such as 'Europe/London' or 'Etc/UTC'"
        known = zoneinfo.available_timezones()
        if not known:
            text = "this machine has no time zone database. Run: pip install tzdata"
        elif like := _closest_zone(name, known):
            text = f"{text}; the closest is {like!r}"
        raise ScheduleError(text) from error


def _closest_zone(name: str, known: Collection[str]) -> str | None:
    """Return the zone that a name may mean: one like it, or one of its city."""
    import difflib

    city = name.rpartition("/")[2].strip().replace(" ", "_").lower()
    of_city = sorted(zone for zone in known if zone.lower().endswith(f"/{city}")) if city else []
    like = of_city or difflib.get_close_matches(name, sorted(known), 1, 0.7)
    return like[0] if like else None


class Cron:
    """When a job runs.

    Args:
        expression: five fields, such as `0 3 * * MON-FRI` (see `parse`); or `every N minutes`,
            `mins` or `hours`, which Google counts from the end of the previous run.
        time_zone: a name in the time zone database, such as `Europe/London`; `utc` in any case, or
            nothing, is UTC.

    Raises:
        ScheduleError: with the value found and the values expected.

    >>> Cron("30 9 * * MON", "Europe/London").after(datetime(2026, 7, 1, tzinfo=UTC)).isoformat()
    '2026-07-06T08:30:00+00:00'
    """

    __slots__ = ("_interval", "_times", "_zone", "expression", "time_zone")

    def __init__(self, expression: str, time_zone: str) -> None:
        self.expression = expression
        self.time_zone = time_zone
        try:
            utc = time_zone.upper() in ("", "UTC", "ETC/UTC")
            self._zone = UTC if utc else read_zone(time_zone)
        except ScheduleError as error:
            raise ScheduleError(f"time zone {_shown(time_zone)}: {error}") from error
        try:
            self._interval = _google_interval(expression)
            self._times = None if self._interval else parse(expression)
        except ScheduleError as error:
            raise ScheduleError(f"schedule {_shown(expression)}: {error}") from error

    @property
    def counts_from_end(self) -> bool:
        """The next run is counted from the end of the previous one."""
        return self._interval is not None

    def after(self, instant: datetime) -> datetime | None:
        """Return the first run strictly after `instant`, in UTC; None if the calendar ends before.

        Args:
            instant: with any time zone.
        """
        if instant.tzinfo is None:
            raise ValueError(f"after({instant!r}): expected an instant with a time zone, in UTC")
        try:
            instant = instant.astimezone(UTC)
            if self._times is None:
                return instant + (self._interval or timedelta())
            if self._zone is UTC:
                return next(self._times.after(instant.replace(tzinfo=None))).replace(tzinfo=UTC)
            return self._first_after(instant, self._times)
        except OverflowError:
            return None

    def _first_after(self, instant: datetime, times: Times) -> datetime:
        local = instant.astimezone(self._zone)
        shown = local.replace(tzinfo=None, fold=0)
        first = next(
            run
            for match in times.after(shown)
            for run in _instants(match, self._zone)
            if run > instant
        )
        passes = _instants(shown, self._zone)
        if local.fold == 0 and len(passes) == 2:
            # The clock is about to go back: it will show again times that it has already shown,
            # perhaps before the next one that it hasn't.
            for match in times.after(shown - (passes[1] - passes[0])):
                if match > shown:
                    break
                again = _instants(match, self._zone)
                if len(again) == 2:
                    return min(first, again[1])
        return first


def _instants(shown: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return when the zone's clock shows a time: once; twice if it goes back; never in a gap."""
    before = shown.replace(tzinfo=zone, fold=0).utcoffset()
    after = shown.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None, "every zone of the time zone database has an offset"
    assert after is not None
    utc = shown.replace(tzinfo=UTC, fold=0)
    if before == after:
        return (utc - before,)
    if before > after:
        return (utc - before, utc - after)
    return ()
