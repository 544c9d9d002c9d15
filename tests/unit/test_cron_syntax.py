"""Cron expressions, as Google's page "Cron job format and time zone" has them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from ucam_faas.gcp import cron_syntax
from ucam_faas.gcp.cron import Cron, ScheduleError
from ucam_faas.gcp.cron_syntax import CronError, check


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
        ("1, * * * *", "minute '1,'"),
        ("1-2-3 * * * *", "minute '1-2-3'"),
        ("*-5 * * * *", "minute '*-5'"),
        ("*/ * * * *", "minute '*/'"),
        ("30-10 * * * *", "minute '30-10': expected a range that goes up"),
        ("* * * * FRI-SUN", "day of week 'FRI-SUN': expected a range that goes up"),
        ("*/0 * * * *", "minute '*/0': expected a step of 1 to 59"),
        ("*/60 * * * *", "minute '*/60': expected a step of 1 to 59"),
        ("5/15 * * * *", "minute '5/15': expected a step after a range: 5-59/15"),
        ("0 0 30 2 *", "day of month '30': no month of '2' has it"),
        ("0 0 31 4,JUN,9,11 *", "day of month '31': no month"),
        (f"{'9' * 5000} * * * *", "minute '9999"),
        ("\u0661 * * * *", "minute '\u0661'"),
    ],
)
def test_what_is_no_expression_is_refused_with_field_and_range(expression: str, part: str) -> None:
    with pytest.raises(CronError) as caught:
        check(expression)

    assert part in str(caught.value)


FIELDS = [
    (range(-1, 62), ()),
    (range(-1, 26), ()),
    (range(34), ()),
    (range(15), ("JAN", "feb", "Dec", "MON")),
    (range(10), ("SUN", "mon", "Sat", "JAN")),
]


def written(values: range, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Field texts, of values inside and just outside what is allowed."""
    one = st.sampled_from([*map(str, values), *names])
    span = st.one_of(st.just("*"), st.builds("{}-{}".format, one, one))
    part = st.one_of(one, span, st.builds("{}/{}".format, st.one_of(one, span), one))
    return st.lists(part, min_size=1, max_size=2).map(",".join)


def is_taken_here(expression: str) -> bool:
    try:
        check(expression)
    except CronError:
        return False
    return True


def is_taken_by_the_local_cloud(expression: str) -> bool:
    try:
        Cron(expression, "UTC")
    except ScheduleError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
@given(data=st.data())
def test_what_a_decorator_takes_the_local_cloud_takes_too(number: int, data: st.DataObject) -> None:
    fields = ["*"] * 5
    fields[number] = data.draw(written(*FIELDS[number]))
    expression = " ".join(fields)

    # Steps that are longer than their field are refused here only: "*/90" is not 90 minutes.
    longest = (59, 23, 31, 12, 7)[number]
    steps = re.findall(r"/([0-9]+)", fields[number])
    too_long = any(int(step) > longest for step in steps)
    assert is_taken_here(expression) == (is_taken_by_the_local_cloud(expression) and not too_long)


@pytest.mark.slow
@given(day=st.integers(1, 31), months=st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_a_date_that_never_comes_is_refused_on_both_sides(day: int, months: list[int]) -> None:
    expression = f"0 0 {day} {','.join(map(str, months))} *"

    assert is_taken_here(expression) == is_taken_by_the_local_cloud(expression)


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
    assert cron_syntax.expand(interval) == expression


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
    with pytest.raises(CronError, match=r"expected an interval|divide the hour or the day evenly"):
        cron_syntax.expand(interval)


@pytest.mark.parametrize("minutes", range(1, 1441))
def test_an_interval_that_is_taken_is_kept_all_day(minutes: int) -> None:
    """Counted from the expression's own runs, over midnight."""
    try:
        minute, hour, *_ = cron_syntax.expand(f"every {minutes} minutes").split()
    except CronError:
        assert 60 % minutes != 0
        assert minutes % 60 != 0 or 1440 % minutes != 0
        return

    runs = [at for at in range(2 * 1440) if _due(minute, at % 60) and _due(hour, at % 1440 // 60)]

    assert {later - earlier for earlier, later in pairwise(runs)} == {minutes}


def _due(field: str, value: int) -> bool:
    if field == "*":
        return True
    return value % int(field[2:]) == 0 if field.startswith("*/") else value == int(field)
