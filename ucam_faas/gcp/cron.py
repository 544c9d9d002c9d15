"""A schedule's text and time zone in, the instants at which it runs out. Pure.

Sources: Google's pages "Cron job format and time zone" (also named "Configure cron job schedules")
and "Job" of Cloud Scheduler. What they say of changing clocks: Cloud Scheduler runs on wall clock
time, so jobs in zones with daylight saving time may run or not run unexpectedly, mostly where a
time occurs twice, and UTC avoids it. They promise no more, and here it is taken by the letter: a
job runs whenever the zone's clock shows a minute that matches. A time that the clock leaps over is
not made up for, and one that it shows twice runs twice.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from ucam_faas.exceptions import UCAMFAASException

LONGEST_SHOWN = 100
"""Characters of a bad schedule that its error repeats."""

EXPECTED = (
    "Expected five fields: minute (0-59), hour (0-23), day of month (1-31), "
    "month (1-12 or JAN-DEC), day of week (0-6 or SUN-SAT, 7 is Sunday), such as '0 3 * * MON-FRI'"
)


class ScheduleError(UCAMFAASException, ValueError):
    """A schedule or its time zone is not one that Cloud Scheduler documents, or never comes."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    """The last value of `*`."""
    names: tuple[str, ...] = ()
    """Of the values from `low` on."""
    extra: int | None = None
    """A value beyond `high`."""

    def value(self, text: str) -> int | None:
        """Return the number that `text` stands for; None if it stands for none."""
        if text.upper() in self.names:
            return self.low + self.names.index(text.upper())
        number = int(text) if re.fullmatch("[0-9]{1,9}", text) else -1
        return number if self.low <= number <= self.high or number == self.extra else None

    @property
    def limits(self) -> str:
        named = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        seventh = f" or {self.extra}" if self.extra is not None else ""
        return f"{self.low}-{self.high}{named}{seventh}"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS, extra=7),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY = re.compile(r"every +([1-9][0-9]{0,5}) +(minutes|mins|hours)", re.IGNORECASE)
_TERM = re.compile(
    r"(?P<first>\*|[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?(?:/(?P<step>[0-9]{1,4}))?"
)
_NOT_OF_THE_DATABASE = ("localtime", "posixrules", "posix/", "right/")
"""Names that a machine's zone directory has beside the tz database's own."""


class Cron:
    """When a job runs.

    The five fields of unix-cron, in their documented form: `*`, numbers, ranges, `/` steps after
    `*` or a range, lists, names of months and days in any case. If day of month and day of week
    are both restricted, a day that matches either is a match; only a bare `*` leaves one
    unrestricted, as documented (so `*/2` restricts). Of the English-like format there is
    `every N minutes`, `mins` or `hours`, which Google counts from the end of the run before.

    Args:
        expression: the schedule, such as `0 3 * * MON-FRI` or `every 5 minutes`.
        time_zone: a name of the tz database, such as `Europe/London`; `utc` or nothing is UTC.

    Raises:
        ScheduleError: with what was found and what is expected.

    >>> Cron("30 9 * * MON", "Europe/London").after(datetime(2026, 7, 1, tzinfo=UTC)).isoformat()
    '2026-07-06T08:30:00+00:00'
    """

    __slots__ = ("_interval", "_sim", "_zone", "expression", "time_zone")

    def __init__(self, expression: str, time_zone: str) -> None:
        self.expression = expression
        self.time_zone = time_zone
        self._zone = read_zone(time_zone)
        self._interval = _interval(expression)
        self._sim = None if self._interval else _parse(expression)

    @property
    def counts_from_end(self) -> bool:
        """Whether the next run is counted from the end of the one before."""
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
            if self._interval:
                return instant + self._interval
            if self._zone is UTC:
                return next(self._matches(instant.replace(tzinfo=None))).replace(tzinfo=UTC)
            return self._first_after(instant)
        except (OverflowError, StopIteration):
            return None

    def _first_after(self, instant: datetime) -> datetime:
        local = instant.astimezone(self._zone)
        shown = local.replace(tzinfo=None)
        first = next(
            run
            for match in self._matches(shown)
            for run in _instants(match, self._zone)
            if run > instant
        )
        passes = _instants(shown, self._zone)
        if local.fold == 0 and len(passes) == 2:
            # The clock is about to go back: times that it has already shown come again, and may
            # come before the next one that it has not.
            for match in self._matches(shown - (passes[1] - passes[0])):
                if match > shown:
                    break
                again = _instants(match, self._zone)
                if len(again) == 2:
                    return min(first, again[1])
        return first

    def _matches(self, shown: datetime) -> Iterator[datetime]:
        """Yield the wall clock times after `shown` that match, as if no clock ever changed."""
        sim = copy.copy(self._sim)
        assert sim is not None, "only expressions of five fields have matches"
        sim.dt = shown.replace(microsecond=0, fold=0)
        matches: Iterator[datetime] = sim
        return matches


def _instants(shown: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return when the zone's clock shows a time: once; twice if it goes back; never in a gap."""
    before = shown.replace(tzinfo=zone, fold=0).utcoffset()
    after = shown.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None, "every zone of the tz database has an offset"
    assert after is not None
    utc = shown.replace(tzinfo=UTC, fold=0)
    if before == after:
        return (utc - before,)
    if before > after:
        return (utc - before, utc - after)
    return ()


def read_zone(name: str) -> tzinfo:
    """Return the zone that a name of the tz database stands for; `utc` or nothing is UTC.

    Raises:
        ScheduleError: there is no such zone.
    """
    if name.upper() in ("", "UTC", "ETC/UTC"):
        return UTC
    try:
        if name.startswith(_NOT_OF_THE_DATABASE):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(
            f"time zone {_shown(name)}: expected a name of the tz database, such as "
            "'Europe/London' or 'UTC'. (If it is one, this machine has no time zone data: "
            "pip install tzdata.)"
        ) from error


def _interval(expression: str) -> timedelta | None:
    found = _EVERY.fullmatch(expression.strip())
    if not found:
        return None
    unit = timedelta(hours=1) if found[2].lower() == "hours" else timedelta(minutes=1)
    return int(found[1]) * unit


def _parse(expression: str) -> CronSim:
    """Read the five fields; what cronsim reads beyond Google's (seconds, `L`, `#`) is refused."""
    texts = expression.split()
    if texts and texts[0].lower() == "every":
        raise _bad(
            expression,
            "of the English-like format, only 'every N minutes', 'every N mins' and 'every N hours'"
            " are supported by the ucam-faas emulator",
        )
    if len(texts) != len(_FIELDS):
        raise _bad(expression, f"found {len(texts)} fields")
    terms = [
        [_term(term, field, expression) for term in text.split(",")]
        for text, field in zip(texts, _FIELDS, strict=True)
    ]
    _check_that_it_comes(texts, terms, expression)
    plain = " ".join(
        "*" if text == "*" else ",".join(map(_written, parsed))
        for text, parsed in zip(texts, terms, strict=True)
    )
    return CronSim(plain, datetime(2000, 1, 1))


def _term(text: str, field: _Field, expression: str) -> range:
    """Return the values of one part of a list."""
    found = _TERM.fullmatch(text)
    if not found:
        raise _bad(expression, f"{field.name} {_shown(text)}: expected {field.limits}")
    star = found["first"] == "*"
    if star and found["last"] is None:
        first, last = field.low, field.high
    else:
        values = [field.value(found[part] or found["first"]) for part in ("first", "last")]
        if values[0] is None or values[1] is None:
            raise _bad(expression, f"{field.name} {_shown(text)}: expected {field.limits}")
        first, last = values[0], values[1]
    if last < first:
        raise _bad(expression, f"{field.name} {_shown(text)}: the range ends before it begins")
    if found["step"] is None:
        return range(first, last + 1)
    if not star and found["last"] is None:
        raise _bad(
            expression,
            f"{field.name} {_shown(text)}: a step follows * or a range, such as "
            f"{first}-{field.high}/{found['step']}",
        )
    if int(found["step"]) == 0:
        raise _bad(expression, f"{field.name} {_shown(text)}: a step is 1 or more")
    return range(first, last + 1, int(found["step"]))


def _written(values: range) -> str:
    """Write a term for cronsim, to whom `5-5/2` is `5-59/2`."""
    if len(values) == 1:
        return str(values[0])
    return f"{values[0]}-{values[-1]}/{values.step}"


def _check_that_it_comes(texts: list[str], terms: list[list[range]], expression: str) -> None:
    if texts[4] != "*":
        return  # every month has every day of the week
    first_day = min(values[0] for values in terms[2])
    months = [month for values in terms[3] for month in values]
    if first_day > max(_LONGEST_MONTHS[month - 1] for month in months):
        raise ScheduleError(
            f"schedule {_shown(expression)} never comes: no month that it names has a day "
            f"{first_day}."
        )


def _bad(expression: str, found: str) -> ScheduleError:
    return ScheduleError(f"schedule {_shown(expression)}: {found}. {EXPECTED}.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")
