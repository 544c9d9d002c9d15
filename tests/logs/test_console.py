"""Lines for people: short, complete, and never lost."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.log import Log
from ucam_faas import (
    BatchMessage,
    BatchResult,
    DeadLetter,
    Retry,
    UCAMFAASException,
    batch_handler,
    message_handler,
)
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.console import ConsoleFormatter
from ucam_faas.testing import conclude, make_message, run_batch

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
        r"\d\d:\d\d:\d\d\.\d{3}  done {6}greet  "
        r"message 7, from test-subscription, took \d+\.\d ms\n",
        console.text,
    )


def test_a_crash_shows_its_traceback_below(console: Log) -> None:
    console.configure(log_format="console", log_exception_text=True)

    conclude(handler(ValueError("because")))

    first, *rest = console.text.splitlines()
    assert re.search(r"  crashed   greet  message \S+, from test-subscription, took", first)
    assert rest[0].strip() == "Traceback (most recent call last):"
    assert rest[-1].strip() == "ValueError: because"
    assert all(line.startswith(" " * 14) for line in rest)


def test_a_batch_counts_its_messages(console: Log) -> None:
    @batch_handler
    def store(messages: list[BatchMessage[int]]) -> BatchResult:
        return BatchResult({each: Retry for each in messages if each.payload > 1})

    run_batch(store, 1, 1, 2)
    run_batch(store, 1)

    _, mixed, same = console.text.splitlines()
    assert "done      store  3 messages (2 done, 1 retry), took " in mixed
    assert "done      store  1 message, took " in same
    assert "outcomes" not in console.text


def test_a_crash_withholds_its_text_unless_asked(console: Log) -> None:
    secret = "07700 900123"

    conclude(handler(ValueError(secret)))

    assert "ValueError" in console.text
    assert secret not in console.text


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (UCAMFAASException("x"), ["failed    greet", ": UCAMFAASException: x"]),
        (DeadLetter("too old"), ["failed    greet", ": too old"]),
    ],
)
def test_a_failure_says_how_and_why(error: Exception, parts: list[str], console: Log) -> None:
    console.configure(log_format="console", log_exception_text=True)
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


FORGED = "12:00:00.000  done      greet  message 1, took 1.0 ms"


@pytest.mark.parametrize("columns", [None, 60])
def test_the_text_of_an_exception_forges_no_line(columns: int | None) -> None:
    """A terminal breaks long lines at its edge: what is behind it must not begin a line, too."""
    line = record()
    line.exc_info = (ValueError, ValueError(f"x\n{FORGED}\n{' ' * 60}{FORGED}"), None)
    line.msg = f"hello\n{FORGED}"

    text = ConsoleFormatter(texts=True, colours=False, columns=lambda: columns).format(line)

    first, *rest = text.splitlines()
    assert first.endswith("hello")
    assert all(line.startswith(" " * 14) for line in rest if line)
    assert columns is None or max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_lines_fit_the_terminal(columns: int) -> None:
    fields = {f"field{number}": "x" * number for number in range(70)}
    line = record()
    line.fields = {"task": "greet", **fields}

    text = ConsoleFormatter(texts=True, colours=False, columns=lambda: columns).format(line)

    assert max(map(len, text.splitlines())) <= columns
    assert all(f"field{number}=" in text for number in range(1, 70))


def test_the_stack_of_an_abandoned_thread_is_lines(console: Log) -> None:
    fields = {"task": "greet", "stack": '  File "a.py", line 1\n    wait()\n'}

    logging.getLogger("ucam_faas").error("ucam_faas_thread_abandoned", extra={"fields": fields})

    lines = [line.strip() for line in console.text.splitlines()]
    assert "past its deadline" in lines[0]
    assert lines[1:] == ['File "a.py", line 1', "wait()"]


def test_events_are_sentences_for_people(console: Log) -> None:
    logging.getLogger("ucam_faas").info("ucam_faas_init_completed")
    logging.getLogger("theirs").info("ucam_faas_init_completed")

    ours, theirs = console.text.splitlines()
    assert ours.endswith("start-up code has run")
    assert theirs.endswith("ucam_faas_init_completed")


def test_payloads_are_shown_when_they_are_asked_for(console: Log) -> None:
    message = make_message(b"the data", attributes={"kind": "a"}, ordering_key="key")
    conclude(handler(None), message)
    assert "the data" not in console.text
    console.configure(log_format="console", log_payloads=True)

    runtime = Runtime(Settings(log_payloads=True), SystemClock())
    conclude(handler(None), message, runtime=runtime)

    assert "data=the data" in console.text
    assert "attributes={'kind': 'a'}" in console.text
    assert "ordering_key=key" in console.text


class Order(BaseModel):
    number: int


@message_handler(message_type=Order)
def order(order: Order) -> None:
    """Do nothing."""


@pytest.mark.parametrize("texts", [True, False])
def test_an_invalid_payload_is_described_in_pydantics_words(console: Log, texts: bool) -> None:
    """Where the texts of exceptions are shown: it quotes the payload."""
    console.configure(log_format="console", log_exception_text=texts)

    conclude(order, make_message(b'{"number": "seven"}'))

    assert "  rejected  order  message " in console.text
    assert ("number: Input should be a valid integer" in console.text) is texts
    assert ("not 'seven'" in console.text) is texts
    assert ("seven" in console.text) is texts


def test_the_end_of_a_sleep_is_local_as_the_line_is(console: Log) -> None:
    end = datetime(2026, 11, 28, 16, 8, 47, tzinfo=UTC)

    logging.getLogger("ucam_faas").info(
        "execution",
        extra={
            "fields": {
                "outcome": "sleeping",
                "duration_seconds": 0.1,
                "job_id": "7",
                "reason": f"until {end}",
            }
        },
    )

    assert f": until {end.astimezone():%a %d %b %Y %H:%M:%S %Z}\n" in console.text


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"task": "greet", "message_id": "7"}, "/messages/7"),
        ({"task": "greet", "job_id": "a/b", "message_id": "7"}, "/jobs/greet/a%2Fb"),
        ({"other": 1}, None),
    ],
    ids=str,
)
def test_the_word_of_a_line_links_to_its_page(fields: dict[str, Any], path: str | None) -> None:
    line = record(logging.INFO)
    line.fields = fields

    text = ConsoleFormatter(texts=True, colours=False, links="http://d").format(line)

    assert text[14:].startswith("INFO" if path is None else f"\033]8;;http://d{path}\033\\INFO\033")
