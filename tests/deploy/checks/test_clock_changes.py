"""Schedules when the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from ucam_faas.deploy.checks.clock_changes import ClockChange, changes, hit
from ucam_faas.gcp import cron

ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]


def test_the_changes_of_london_in_a_year() -> None:
    clock_changes = list(changes(ZoneInfo("Europe/London"), date(2027, 1, 1), date(2028, 1, 1)))

    assert clock_changes == [
        ClockChange(datetime(2027, 3, 28, 1), datetime(2027, 3, 28, 2), skips=True),
        ClockChange(datetime(2027, 10, 31, 1), datetime(2027, 10, 31, 2), skips=False),
    ]


def test_half_an_hour_on_lord_howe_island() -> None:
    clock_changes = list(
        changes(ZoneInfo("Australia/Lord_Howe"), date(2027, 1, 1), date(2028, 1, 1))
    )

    assert {change.end - change.begin for change in clock_changes} == {timedelta(minutes=30)}
    assert [change.skips for change in clock_changes] == [False, True]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_zone_without_summer_time_has_no_changes(zone: str) -> None:
    assert list(changes(ZoneInfo(zone), date(2027, 1, 1), date(2037, 1, 1))) == []


@given(st.sampled_from(ZONES), st.integers(2020, 2035), st.data())
def test_times_in_a_change_are_shown_never_or_twice(
    zone_name: str, year: int, data: st.DataObject
) -> None:
    zone = ZoneInfo(zone_name)
    clock_changes = list(changes(zone, date(year, 1, 1), date(year + 1, 1, 1)))
    change = data.draw(st.sampled_from(clock_changes))
    minutes = int((change.end - change.begin) / timedelta(minutes=1))

    shown = change.begin + timedelta(minutes=data.draw(st.integers(0, minutes - 1)))

    instants = {shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    back = [instant.astimezone(zone).replace(tzinfo=None) == shown for instant in instants]
    assert back == ([False] * 2 if change.skips else [True] * 2)
    for outside in (change.begin - timedelta(minutes=1), change.end):
        folds = {outside.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
        assert len(folds) == 1


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", datetime(2027, 3, 28, 1, 30)),
        ("*/20 0-3 * * *", datetime(2027, 3, 28, 1)),
        ("30 1 * * MON-SAT", None),
        ("0 2 * * *", None),
        ("59 0 * * *", None),
        ("30 1 28 * MON", datetime(2027, 3, 28, 1, 30)),
        ("30 1 28 4 *", None),
    ],
)
def test_a_schedule_is_hit_by_a_change_at_its_time(
    expression: str, expected: datetime | None
) -> None:
    change = ClockChange(datetime(2027, 3, 28, 1), datetime(2027, 3, 28, 2), skips=True)

    assert hit(cron.parse(expression), change) == expected


@pytest.mark.parametrize("expression", ["15 * * * *", "*/15 * * * *"])
def test_an_hourly_schedule_may_run_during_a_clock_change(expression: str) -> None:
    """It isn't reported, because the next run is at most an hour away, as on every day."""
    assert len(cron.parse(expression).hours) == 24
