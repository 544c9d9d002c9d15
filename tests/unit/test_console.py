"""Lines for people: short, complete, and never lost."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from ucam_faas import DeadLetter, UCAMFAASException, message_handler
from ucam_faas._console import ConsoleFormatter
from ucam_faas.testing import conclude, make_message

from .conftest import Log

theirs = logging.getLogger("their.module")


@pytest.fixture
def console(log: Log) -> Log:
    log.configure(log_format="console")
    return log


def handler(error: Exception | None) -> Any:
    @message_handler(message_type=None)
    def greet(data: bytes) -> None:
        if error is not None:
            raise error

    return greet


def test_an_execution_is_one_short_line(console: Log) -> None:
    conclude(handler(None), make_message(message_id="7"))

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}  INFO {4,}.*greet  done in \d+\.\d ms  message_id=7 .*\n",
        console.text,
    )


def test_a_crash_shows_its_traceback_below(console: Log) -> None:
    console.configure(log_format="console", log_exception_text=True)

    conclude(handler(ValueError("because")))

    first, *rest = console.text.splitlines()
    assert "crashed in" in first
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: because"


def test_a_crash_withholds_its_text_unless_asked(console: Log) -> None:
    secret = "07700 900123"

    conclude(handler(ValueError(secret)))

    assert "ValueError" in console.text
    assert secret not in console.text


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (UCAMFAASException("x"), ["WARNING", "failed in"]),
        (DeadLetter("too old"), ["WARNING", "dead_letter in", "reason=too old"]),
    ],
)
def test_a_failure_says_how_and_why(error: Exception, parts: list[str], console: Log) -> None:
    conclude(handler(error))

    assert all(part in console.text for part in parts)
    assert console.text.count("\n") == 1


def test_a_line_of_the_user_has_message_and_fields(console: Log) -> None:
    theirs.warning("hello %s", "world", extra={"fields": {"user": 1, "none": None, "empty": ""}})

    assert "WARNING" in console.text
    assert "hello world  user=1\n" in console.text


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "paid", "duration_seconds": "3 s"},
        {"outcome": "paid", "duration_seconds": None},
        {"outcome": "paid", "duration_seconds": 1.5},
        {"outcome": "paid", "duration_seconds": 1.5, "execution_info": "own"},
        {"task": None},
        {"task": 5},
    ],
    ids=str,
)
def test_fields_of_a_user_that_are_named_like_ours_lose_no_line(
    fields: dict[str, Any], console: Log
) -> None:
    theirs.warning("hello", extra={"fields": fields})

    assert "hello" in console.text


def record(level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("x", level, __file__, 1, "hello", None, None)


def test_colours_are_for_terminals() -> None:
    line = record()

    plain = ConsoleFormatter(texts=True, colours=False).format(line)
    coloured = ConsoleFormatter(texts=True, colours=True).format(line)

    assert "\033" not in plain
    assert "\033[33mWARNING" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == plain


def test_a_level_of_ones_own_has_a_line() -> None:
    assert "Level 25" in ConsoleFormatter(texts=True, colours=True).format(record(25))
