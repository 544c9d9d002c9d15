"""Cron expressions and intervals: the ones taken, and how the others are refused.

Source: Google's page "Cron job format and time zone". When they run is in `test_cron_runs`.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.gcp.cron import LONGEST_SHOWN, Cron, ScheduleError, check, expand, parse


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "0 3 * * *",
        "  0\t3 * *  * ",
        "59 23 31 12 7",
        "0 0 1 1 0",
        "*/15 8-18/2 1,15,20-25 JAN-MAR,dec mon-FRI",
        "0 0 29 2 *",
        "0 0 31 2,3 *",
        "0 0 31 2 MON",
        "0 0 * * 5-7",
        "00 03 * * *",
    ],
)
def test_a_documented_expression_is_taken(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("", "0 fields: expected five"),
        ("* * * *", "4 fields: expected five, for minute, hour, day of month, month, day of week"),
        ("0 0 3 * * *", "6 fields"),
        ("@daily", "1 fields"),
        ("every 5 minutes", "3 fields"),
        ("60 * * * *", "minute '60': expected 0-59"),
        ("-1 * * * *", "minute '-1': expected 0-59"),
        ("* 24 * * *", "hour '24': expected 0-23"),
        ("* * 0 * *", "day of month '0': expected 1-31"),
        ("* * 32 * *", "day of month '32': expected 1-31"),
        ("* * L * *", "day of month 'L': expected 1-31"),
        ("* * * 13 *", "month '13': expected 1-12 or JAN-DEC"),
        ("* * * JANUARY *", "month 'JANUARY': expected 1-12 or JAN-DEC"),
        ("* * * MON *", "month 'MON'"),
        ("* * * * 8", "day of week '8': expected 0-7 or SUN-SAT"),
        ("* * * * MON#2", "day of week 'MON#2'"),
        ("* * ? * *", "day of month '?'"),
        ("1.5 * * * *", "minute '1.5'"),
        ("1, * * * *", "minute ''"),
        ("1,,2 * * * *", "minute '': expected 0-59"),
        ("1-2-3 * * * *", "minute '1-2-3'"),
        ("*-5 * * * *", "minute '*-5'"),
        ("*/ * * * *", "minute '*/'"),
        ("30-10 * * * *", "minute '30-10': expected a range that goes up"),
        ("22-2 * * * *", "minute '22-2': expected a range that goes up within 0-59"),
        ("* * * * FRI-SUN", "day of week 'FRI-SUN': expected a range that goes up"),
        ("*/0 * * * *", "minute '*/0': expected a step of 1 to 59"),
        ("*/60 * * * *", "minute '*/60': expected a step of 1 to 59"),
        ("*/99999 * * * *", "minute '*/99999': expected 0-59"),
        ("*/5/5 * * * *", "minute '*/5/5': expected 0-59"),
        ("1- * * * *", "minute '1-': expected 0-59"),
        ("5/15 * * * *", "minute '5/15': expected a step after * or a range: 5-59/15"),
        ("* * LW * *", "day of month 'LW': expected 1-31"),
        ("* * MON * *", "day of month 'MON': expected 1-31"),
        ("* * * * 5L", "day of week '5L': expected 0-7"),
        ("0 0 30 2 *", "it never runs: no month of '2' has a day 30"),
        ("0 0 30-31 FEB *", "it never runs: no month of 'FEB' has a day 30"),
        ("0 0 31 4,JUN,9,11 *", "it never runs: no month of '4,JUN,9,11' has a day 31"),
        (f"{'9' * 5000} * * * *", "minute '9999"),
        ("\u0661 * * * *", "minute '\u0661'"),
    ],
)
def test_what_is_no_expression_is_refused_with_field_and_range(expression: str, part: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check(expression)

    assert part in str(caught.value)


def test_a_job_takes_steps_that_are_longer_than_their_field() -> None:
    """Cloud Scheduler does, and a decorator doesn't: `*/90` is not 90 minutes."""
    assert parse("*/90 * * * *").minutes == {0}


def test_a_long_bad_expression_is_cut_short_in_its_error() -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("9" * 100_000, "UTC")

    assert len(str(caught.value)) < 10 * LONGEST_SHOWN


def test_a_schedule_error_is_an_expected_failure_and_a_value_error() -> None:
    assert issubclass(ScheduleError, UCAMFAASException)
    assert issubclass(ScheduleError, ValueError)


# --- intervals


@pytest.mark.parametrize(
    ("interval", "expression"),
    [
        ("every minute", "* * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("rate(15 minutes)", "*/15 * * * *"),
        (" Every  1 minute ", "* * * * *"),
        ("rate( 1 hour )", "0 * * * *"),
        ("every 60 minutes", "0 * * * *"),
        ("every 6 hours", "0 */6 * * *"),
        ("every 120 minutes", "0 */2 * * *"),
        ("every 24 hours", "0 0 * * *"),
        ("every day", "0 0 * * *"),
        ("rate(1 day)", "0 0 * * *"),
        ("0 3 * * *", "0 3 * * *"),
        ("whatever", "whatever"),
    ],
)
def test_an_interval_is_another_spelling_of_an_expression(interval: str, expression: str) -> None:
    assert expand(interval) == expression


@pytest.mark.parametrize(
    "interval",
    [
        *("every 7 minutes", "every 90 minutes", "every 5 hours", "every 2 days", "rate(0 hours)"),
        *("every", "every week", "rate(15)", "rate 15 minutes", "every -5 minutes", "every 0 days"),
    ],
)
def test_an_interval_without_an_expression_is_refused_with_those_that_have_one(
    interval: str,
) -> None:
    with pytest.raises(
        ScheduleError, match=r"expected an interval|divide the hour or the day evenly"
    ):
        expand(interval)


def test_an_interval_that_is_taken_is_kept_all_day() -> None:
    """Counted from the expression's own runs, over midnight."""
    gaps = {minutes: gaps_between_runs(minutes) for minutes in range(1, 1441)}

    taken = {minutes: seen for minutes, seen in gaps.items() if seen is not None}
    assert taken == {minutes: {minutes} for minutes in taken}
    assert {minutes for minutes in gaps if 60 % minutes == 0} <= taken.keys()
    assert {
        minutes for minutes in gaps if minutes % 60 == 0 and 1440 % minutes == 0
    } <= taken.keys()


def gaps_between_runs(minutes: int) -> set[int] | None:
    """Return the minutes between runs of `every N minutes`; None: the interval is refused."""
    try:
        minute, hour, *_ = expand(f"every {minutes} minutes").split()
    except ScheduleError:
        return None
    runs = [at for at in range(2 * 1440) if _due(minute, at % 60) and _due(hour, at % 1440 // 60)]
    return {later - earlier for earlier, later in pairwise(runs)}


def _due(field: str, value: int) -> bool:
    if field == "*":
        return True
    return value % int(field[2:]) == 0 if field.startswith("*/") else value == int(field)
