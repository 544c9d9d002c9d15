"""When schedules run, also when the clocks change; and the jobs that are refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings, strategies as st

from ucam_faas.gcp.cron import Cron, ScheduleError

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ZONES = sorted(available_timezones() - {"localtime"})
"""`localtime` is whatever the machine is set to, and not in the time zone database."""
FAMOUS = [
    *("Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana"),
    *("Pacific/Apia", "Africa/Casablanca", "Asia/Beirut", "Europe/Dublin", "America/Santiago"),
    *("Antarctica/Troll", "Asia/Kathmandu", "UTC"),
]
"""Clocks that change by 30 minutes, by two hours, at midnight, backwards in summer, not at all."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Return the next runs in the zone's wall clock time."""
    cron = Cron(expression, zone)
    runs, now = [], utc(start)
    for _ in range(count):
        now = cron.after(now) or pytest.fail("no next run")
        runs.append(f"{now.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M%z}")
    return runs


def days(expression: str, start: str, count: int) -> list[str]:
    return [text[:10] for text in runs(expression, "UTC", start, count)]


# -- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["00:01", "00:02", "00:03"]),
        ("*/20 * * * *", ["00:20", "00:40", "01:00"]),
        ("5-59/20 * * * *", ["00:05", "00:25", "00:45"]),
        ("7,3,5-6 * * * *", ["00:03", "00:05", "00:06"]),
        ("*/90 * * * *", ["01:00", "02:00", "03:00"]),
        ("5-5/2 * * * *", ["00:05", "01:05", "02:05"]),
        ("0 0-23/2 * * *", ["02:00", "04:00", "06:00"]),
        ("007 09 * * *", ["09:07", "09:07", "09:07"]),
        ("  0\t9  * * * ", ["09:00", "09:00", "09:00"]),
    ],
)
def test_minutes_and_hours_take_stars_numbers_ranges_steps_and_lists(
    expression: str, expected: list[str]
) -> None:
    assert [text[11:16] for text in runs(expression, "UTC", "2026-01-01", 3)] == expected


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun", "Sun", "7,0", "7-7", "0-0/3"])
def test_sunday_is_0_and_7(sunday: str) -> None:
    assert days(f"0 0 * * {sunday}", "2026-01-01", 2) == ["2026-01-04", "2026-01-11"]


def test_a_range_of_days_may_end_with_7() -> None:
    assert days("0 0 * * FRI-7", "2026-01-01", 4) == [
        *("2026-01-02", "2026-01-03", "2026-01-04", "2026-01-09")
    ]


def test_months_and_days_of_the_week_have_names_in_any_case() -> None:
    assert days("0 0 1 jan,MAR-May/2 *", "2026-01-01", 3) == [
        *("2026-03-01", "2026-05-01", "2027-01-01")
    ]
    assert days("0 0 * * mon-Tue", "2026-01-01", 2) == ["2026-01-05", "2026-01-06"]


def test_restricted_days_of_month_and_of_week_are_alternatives() -> None:
    assert days("0 0 1 * SAT", "2026-01-01", 3) == ["2026-01-03", "2026-01-10", "2026-01-17"]
    assert days("0 0 6 * SAT", "2026-01-01", 3) == ["2026-01-03", "2026-01-06", "2026-01-10"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("0 0 6 * *", "2026-01-06"), ("0 0 * * TUE", "2026-01-06"), ("0 0 6 * */7", "2026-01-04")],
)
def test_only_a_bare_star_leaves_days_unrestricted(expression: str, expected: str) -> None:
    assert days(expression, "2026-01-01", 1) == [expected]


def test_the_last_days_of_months_come_in_the_months_that_have_them() -> None:
    assert days("0 0 31 * *", "2026-01-31", 3) == ["2026-03-31", "2026-05-31", "2026-07-31"]
    assert days("0 0 30 1-3 *", "2026-01-30", 2) == ["2026-03-30", "2027-01-30"]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("2026-01-01", "2028-02-29"), ("2028-02-29", "2032-02-29"), ("2096-03-01", "2104-02-29")],
)
def test_29_february_waits_for_a_leap_year(start: str, expected: str) -> None:
    assert days("0 0 29 2 *", start, 1) == [expected]


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("every 5 minutes", timedelta(minutes=5)),
        ("every 90 mins", timedelta(minutes=90)),
        (" Every  12 HOURS ", timedelta(hours=12)),
    ],
)
def test_every_n_counts_from_the_instant_given(expression: str, interval: timedelta) -> None:
    now = utc("2026-03-29T00:59:17")

    cron = Cron(expression, "Europe/London")

    assert cron.after(now) == now + interval
    assert cron.counts_from_end


def test_five_fields_do_not_count_from_the_end() -> None:
    assert not Cron("*/5 * * * *", "UTC").counts_from_end


# -- strictly after -----------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Europe/London"])
@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-01-01T08:59:59.999999", "2026-01-01T09:00"),
        ("2026-01-01T09:00:00", "2026-01-02T09:00"),
        ("2026-01-01T09:00:00.000001", "2026-01-02T09:00"),
        ("2026-01-01T09:00:59.999999", "2026-01-02T09:00"),
    ],
)
def test_the_next_run_is_strictly_after_the_instant(zone: str, instant: str, expected: str) -> None:
    assert Cron("0 9 * * *", zone).after(utc(instant)) == utc(expected)


@pytest.mark.parametrize("zone", ["UTC", "Europe/London"])
def test_an_instant_may_be_given_in_any_zone(zone: str) -> None:
    instant = datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo("Asia/Tokyo"))

    run = Cron("0 * * * *", zone).after(instant)

    assert run == utc("2026-07-01T01:00")
    assert run is not None
    assert run.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an instant with a time zone"):
        Cron("* * * * *", "UTC").after(datetime(2026, 1, 1))


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Pacific/Kiritimati", "Pacific/Midway"])
@pytest.mark.parametrize("expression", ["0 0 1 1 *", "* * * * *", "every 24 hours"])
def test_there_is_no_run_after_the_calendar_ends(expression: str, zone: str) -> None:
    assert Cron(expression, zone).after(datetime.max.replace(tzinfo=UTC)) is None


def test_asking_changes_nothing() -> None:
    cron = Cron("*/7 * * * *", "Europe/London")
    late, early = utc("2030-01-01T00:00"), utc("2020-01-01T00:00")

    first = [cron.after(late), cron.after(early)]

    assert [cron.after(late), cron.after(early)] == first


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 24 * * *", "schedule '0 24 \\* \\* \\*': hour '24': expected 0-23"),
        ("0 0 31 2,4 *", "it never runs: no month of '2,4' has a day 31"),
        ("every 5 days", "only 'every N minutes', 'every N mins' and 'every N hours'"),
        ("every 0 minutes", "only 'every N minutes'"),
        ("every monday 09:00", "only 'every N minutes'"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_reason(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        Cron(expression, "UTC")


@pytest.mark.parametrize(
    "expression", ["0 0 31 2 1", "0 0 31 2 */2", "0 0 31 1,2 *", "0 0 1,31 2 *"]
)
def test_a_rare_schedule_that_comes_is_accepted(expression: str) -> None:
    assert Cron(expression, "UTC").after(utc("2026-01-01")) is not None


@pytest.mark.parametrize(
    "zone",
    [
        *("Europe/Lonodn", "Europe", "+01:00", "/etc/passwd", "../UTC", "zone.tab", "\0", "\ud800"),
        *("a" * 9999, "localtime", "posixrules", "right/UTC", "posix/Europe/London", " UTC"),
    ],
)
def test_a_bad_zone_says_what_was_found_and_what_is_expected(zone: str) -> None:
    with pytest.raises(
        ScheduleError, match="expected a name in the time zone database, such as 'E"
    ):
        Cron("* * * * *", zone)


@pytest.mark.parametrize("zone", ["", "utc", "UTC", "Etc/UTC", "Etc/GMT", "Zulu"])
def test_utc_has_its_documented_names(zone: str) -> None:
    assert Cron("0 9 * * *", zone).after(utc("2026-07-01")) == utc("2026-07-01T09:00")


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9*/,A-Z -]{0,30}\Z"))
@settings(max_examples=50)
def test_any_text_is_a_schedule_or_a_schedule_error(text: str) -> None:
    try:
        cron = Cron(text, "Europe/London")
    except ScheduleError:
        return

    assert cron.after(utc("2026-01-01")) is not None


@pytest.mark.slow
@given(st.text(max_size=20))
@settings(max_examples=50)
def test_any_text_is_a_zone_or_a_schedule_error(text: str) -> None:
    try:
        Cron("* * * * *", text)
    except ScheduleError:
        return

    assert text == "" or text.upper() in {name.upper() for name in ZONES}


# -- when the clocks change ---------------------------------------------------------------------


def test_a_time_that_the_clock_leaps_over_does_not_run_that_day() -> None:
    """London, 29 March 2026: 00:59 is followed by 02:00."""
    assert runs("30 1 * * *", "Europe/London", "2026-03-27T12:00", 3) == [
        *("2026-03-28 01:30+0000", "2026-03-30 01:30+0100", "2026-03-31 01:30+0100")
    ]


def test_a_time_that_the_clock_shows_twice_runs_twice() -> None:
    """London, 25 October 2026: 01:59 is followed by 01:00."""
    assert runs("30 1 * * *", "Europe/London", "2026-10-24T12:00", 3) == [
        *("2026-10-25 01:30+0100", "2026-10-25 01:30+0000", "2026-10-26 01:30+0000")
    ]


def test_a_time_before_the_present_one_comes_again_when_the_clock_goes_back() -> None:
    """At 01:50 the next :10 that the clock shows is 01:10, ten minutes after it went back."""
    assert runs("10 * * * *", "Europe/London", "2026-10-25T00:50", 2) == [
        *("2026-10-25 01:10+0000", "2026-10-25 02:10+0000")
    ]


def test_steps_go_on_through_both_passes_of_an_hour() -> None:
    assert [text[11:] for text in runs("*/30 * * * *", "Europe/London", "2026-10-24T23:45", 6)] == [
        *("01:00+0100", "01:30+0100", "01:00+0000", "01:30+0000", "02:00+0000", "02:30+0000")
    ]


def test_a_clock_may_change_by_half_an_hour() -> None:
    """Lord Howe, 5 April 2026: 01:59 is followed by 01:30."""
    shown = runs("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T10:00", 3)

    assert shown == ["2026-04-05 01:45+1100", "2026-04-05 01:45+1030", "2026-04-06 01:45+1030"]


def test_a_clock_may_leap_over_midnight() -> None:
    """Havana, 8 March 2026: there is no 00:00."""
    assert runs("0 0 * * *", "America/Havana", "2026-03-07T12:00", 1) == ["2026-03-09 00:00-0400"]
    assert runs("0 */2 8 3 *", "America/Havana", "2026-03-07", 1) == ["2026-03-08 02:00-0400"]


def test_a_clock_may_leap_over_a_whole_day() -> None:
    """Apia, 2011: 29 December is followed by 31 December."""
    assert runs("0 12 * * *", "Pacific/Apia", "2011-12-29T20:00", 2) == [
        *("2011-12-29 12:00-1000", "2011-12-31 12:00+1400")
    ]


def test_clock_changes_do_not_touch_every_n_minutes() -> None:
    assert Cron("every 2 hours", "Europe/London").after(utc("2026-03-29T00:30")) == utc(
        "2026-03-29T02:30"
    )


# -- against a walk through all minutes ---------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A field as text, and its values."""

    text: str
    values: Collection[int]

    @property
    def free(self) -> bool:
        return self.text == "*"


def field(low: int, high: int, names: str = "", extra: int | None = None) -> st.SearchStrategy:
    numbers = list(range(low, high + 1)) + ([] if extra is None else [extra])
    spelled = {value: [str(value), f"{value:02}"] for value in numbers}
    for value, name in enumerate(names.split(), start=low):
        spelled[value] += [name, name.lower()]

    @st.composite
    def term(draw: st.DrawFn) -> Written:
        first, last = sorted((draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))))
        start, other = draw(st.sampled_from(spelled[first])), draw(st.sampled_from(spelled[last]))
        if last > high and names and start.upper() in names.split():
            start = str(first)
        step = draw(st.integers(1, high + 3))
        return draw(
            st.sampled_from(
                [
                    Written(start, {first}),
                    Written(f"{start}-{other}", set(range(first, last + 1))),
                    Written(f"{start}-{other}/{step}", set(range(first, last + 1, step))),
                    Written(f"*/{step}", set(range(low, high + 1, step))),
                ]
            )
        )

    lists = st.lists(term(), min_size=1, max_size=3).map(
        lambda terms: Written(
            ",".join(term.text for term in terms), set().union(*(term.values for term in terms))
        )
    )
    return st.just(Written("*", set(range(low, high + 1)))) | lists


MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
WEEK = "SUN MON TUE WED THU FRI SAT"
EXPRESSIONS = st.tuples(
    field(0, 59), field(0, 23), field(1, 31), field(1, 12, MONTHS), field(0, 6, WEEK, extra=7)
)


def matches(fields: tuple[Written, ...], shown: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    on_day = shown.day in day.values
    on_weekday = not {shown.isoweekday(), shown.isoweekday() % 7}.isdisjoint(weekday.values)
    either = not day.free and not weekday.free
    return (
        shown.minute in minute.values
        and shown.hour in hour.values
        and shown.month in month.values
        and (on_day or on_weekday if either else on_day and on_weekday)
    )


def walk(fields: tuple[Written, ...], zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the runs after `start` up to `end`, by looking at the clock each minute."""
    place = ZoneInfo(zone)
    runs, now = [], start + MINUTE
    while now <= end:
        if matches(fields, now.astimezone(place)):
            runs.append(now)
        now += MINUTE
    return runs


def asked(fields: tuple[Written, ...], zone: str, start: datetime, end: datetime) -> list[datetime]:
    cron = Cron(" ".join(field.text for field in fields), zone)
    runs, now = [], cron.after(start)
    while now is not None and now <= end:
        runs.append(now)
        now = cron.after(now)
    return runs


def changes(zone: str, year: int) -> list[datetime]:
    """Return the hours of a year after which a zone's offset is another."""
    place = ZoneInfo(zone)

    def differ(moment: datetime, other: datetime) -> bool:
        return moment.astimezone(place).utcoffset() != other.astimezone(place).utcoffset()

    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
    return [
        day + hour * HOUR
        for day, next_day in pairwise(days)
        if differ(day, next_day)
        for hour in range(24)
        if differ(day + hour * HOUR, day + (hour + 1) * HOUR)
    ]


def possible(fields: tuple[Written, ...]) -> bool:
    longest = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return not fields[4].free or min(fields[2].values) <= max(
        longest[month - 1] for month in fields[3].values
    )


@pytest.mark.slow
@given(
    fields=EXPRESSIONS.filter(possible),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1)),
)
@settings(max_examples=200)
def test_runs_are_those_of_a_walk_through_a_day_anywhere_at_any_time(
    fields: tuple[Written, ...], zone: str, start: datetime
) -> None:
    begin = start.replace(second=0, microsecond=0, tzinfo=UTC)
    end = begin + timedelta(days=1)

    assert asked(fields, zone, begin, end) == walk(fields, zone, begin, end)


@pytest.mark.slow
@given(
    minute=field(0, 59),
    hour=field(0, 23) | st.sampled_from([Written("0-3/2", {0, 2}), Written("1,2", {1, 2})]),
    day=st.just(Written("*", set(range(1, 32)))) | field(1, 31),
    weekday=st.just(Written("*", set(range(7)))) | field(0, 6, WEEK, extra=7),
    zone=st.sampled_from(FAMOUS) | st.sampled_from(ZONES),
    year=st.integers(1975, 2040),
    pick=st.integers(0, 9),
    offset=st.integers(0, 240),
)
@settings(max_examples=200)
def test_runs_are_those_of_a_walk_wherever_clocks_change(
    minute: Written,
    hour: Written,
    day: Written,
    weekday: Written,
    zone: str,
    year: int,
    pick: int,
    offset: int,
) -> None:
    hours = changes(zone, year) or [datetime(year, 3, 29, tzinfo=UTC)]
    begin = hours[pick % len(hours)] - offset * MINUTE
    end = begin + 8 * HOUR
    fields = (minute, hour, day, Written("*", set(range(1, 13))), weekday)

    assert asked(fields, zone, begin, end) == walk(fields, zone, begin, end)


@pytest.mark.slow
@pytest.mark.parametrize("expression", ["17 * * * *", "*/20 0-3 * * *"])
def test_every_zone_of_the_world_has_a_right_year_of_clock_changes(expression: str) -> None:
    minute, hour = expression.split()[:2]
    fields = (
        Written(minute, {17} if minute == "17" else {0, 20, 40}),
        Written(hour, set(range(24)) if hour == "*" else {0, 1, 2, 3}),
        Written("*", set(range(1, 32))),
        Written("*", set(range(1, 13))),
        Written("*", set(range(7))),
    )
    for zone in ZONES:
        for change in changes(zone, 2026):
            begin, end = change - 2 * HOUR, change + 3 * HOUR

            assert asked(fields, zone, begin, end) == walk(fields, zone, begin, end), zone


@pytest.mark.slow
def test_a_year_of_hours_takes_well_under_a_second_anywhere() -> None:
    for zone in FAMOUS:
        cron = Cron("0 * * * *", zone)
        now, count = utc("2026-01-01"), 0
        while now < utc("2027-01-01"):
            now = cron.after(now) or pytest.fail("no next run")
            count += 1

        assert 8700 < count < 8800, zone
