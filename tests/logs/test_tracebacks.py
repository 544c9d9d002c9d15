"""Tracebacks have places and types; the exceptions' texts are added only on request."""

from __future__ import annotations

from typing import Any

import pytest

from ucam_faas.logs.tracebacks import render

SECRET = "07700 900123"


class OwnError(Exception):
    pass


def error_of(act: Any) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def simple() -> None:
    raise OwnError(SECRET)


def caused() -> None:
    try:
        simple()
    except OwnError as error:
        raise KeyError(SECRET) from error


def in_context() -> None:
    try:
        simple()
    except OwnError:
        int(SECRET)


def suppressed() -> None:
    try:
        simple()
    except OwnError:
        raise KeyError(SECRET) from None


def noted() -> None:
    error = OwnError(SECRET)
    error.add_note(SECRET)
    raise error


def grouped() -> None:
    raise ExceptionGroup(SECRET, [error_of(simple), error_of(caused)])  # type: ignore[list-item]


def parsed() -> None:
    compile(f"{SECRET} =", f"{SECRET}.py", "exec")


ALL = [simple, caused, in_context, suppressed, noted, grouped, parsed]


@pytest.mark.parametrize("act", ALL)
def test_nothing_that_an_exception_says_is_shown(act: Any) -> None:
    text = render(error_of(act), texts=False)

    assert SECRET not in text
    assert "UCAM_FAAS_LOG_EXCEPTION_TEXT=true" in text
    assert act.__name__ in text


@pytest.mark.parametrize("act", ALL)
def test_everything_is_shown_when_asked_for(act: Any) -> None:
    text = render(error_of(act), texts=True)

    assert SECRET in text
    assert text.startswith(("Traceback", "  + Exception Group Traceback"))


def test_a_traceback_begins_and_ends_as_error_reporting_wants_it() -> None:
    text = render(error_of(simple), texts=False)

    first, *_, last = text.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith(f"{__name__}.OwnError: ")


def test_built_in_exceptions_have_short_names() -> None:
    text = render(error_of(in_context), texts=False)

    assert "\nValueError: (" in text


@pytest.mark.parametrize("act", [caused, in_context])
def test_the_cause_of_an_exception_is_above_it(act: Any) -> None:
    text = render(error_of(act), texts=False)

    assert text.count("Traceback (most recent call last):") == 2
    last = "KeyError" if act is caused else "ValueError"
    assert text.index("OwnError") < text.index(last)


def test_a_suppressed_exception_is_not_shown() -> None:
    text = render(error_of(suppressed), texts=False)

    assert "OwnError" not in text


def test_the_members_of_a_group_are_shown() -> None:
    text = render(error_of(grouped), texts=False)

    assert "ExceptionGroup" in text
    assert "OwnError" in text, "which errors there were is the point of a group"
    assert "KeyError" in text


def test_a_circle_of_causes_ends() -> None:
    first, second = OwnError("1"), OwnError("2")
    first.__cause__, second.__cause__ = second, first

    assert render(first, texts=False).count("Traceback") == 2


def test_an_exception_that_was_never_raised_is_rendered() -> None:
    assert "OwnError" in render(OwnError(SECRET), texts=False)
