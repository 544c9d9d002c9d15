"""Everything that is logged is one line of valid JSON in Cloud Logging's form; nothing is lost."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support.log import Log
from ucam_faas import message_handler
from ucam_faas.config import Settings
from ucam_faas.logs import setup
from ucam_faas.logs.context import LOG_CONTEXT, LogContext
from ucam_faas.testing import run

theirs = logging.getLogger("their.module")
SECRET = "07700 900123"


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


class Incomparable:
    """Its comparison has no truth value, as with numpy's arrays."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("The truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def caught(text: str = SECRET) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


# --- the form


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_a_line_has_severity_message_time_and_logger(level: str, log: Log) -> None:
    log.configure(log_level="DEBUG")
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    theirs.log(getattr(logging, level), "hello %s", "world")

    line = log.line
    assert (line["severity"], line["message"]) == (level, "hello world")
    assert line["logger"] == "their.module"
    assert before <= datetime.fromisoformat(line["time"]) <= datetime.now(UTC)
    assert line["time"].endswith("Z")


def test_a_line_is_one_line(log: Log) -> None:
    theirs.info("one\ntwo\r\nthree\u2028four")

    assert log.text.count("\n") == 1
    assert json.loads(log.text)["message"] == "one\ntwo\r\nthree\u2028four"


def test_outside_an_execution_a_line_has_no_labels(log: Log) -> None:
    theirs.info("hello")

    assert [name for name in log.line if name.startswith("logging.googleapis.com")] == []


def test_inside_an_execution_every_line_has_its_labels(log: Log) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        theirs.info("inside")

    info = run(task)

    labels = [line["logging.googleapis.com/labels"] for line in log.lines]
    expected = {"execution_id": info.model_dump()["execution_id"], "task": "task"}
    assert labels == [expected, expected]


def test_the_level_is_the_settings(log: Log) -> None:
    log.configure(log_level="ERROR")

    theirs.warning("no")
    theirs.error("yes")

    assert log.line["message"] == "yes"


def test_debug_is_level_debug_whatever_the_level(log: Log) -> None:
    log.configure(log_level="ERROR", debug=True)

    theirs.debug("yes")

    assert log.line["message"] == "yes"


def test_warnings_are_logged(log: Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert log.line["severity"] == "WARNING"
    assert "DeprecationWarning: old" in log.line["message"]


def test_configuring_twice_logs_once(log: Log) -> None:
    log.configure()
    log.configure()

    theirs.info("once")

    assert len(log.lines) == 1


# --- fields

NAMES = ["message", "severity", "time", "logger", "event", "level", "name", "args", "labels"]


@pytest.mark.parametrize("name", [*NAMES, "logging.googleapis.com/labels", "@type", "stack_trace"])
def test_a_field_harms_nothing_whatever_its_name(name: str, log: Log) -> None:
    LOG_CONTEXT.set(LogContext("task", "abc"))

    theirs.warning("hello", extra={"fields": {name: "own"}}, exc_info=caught())

    LOG_CONTEXT.set(None)
    line = log.line
    assert (line["severity"], line["message"]) == ("WARNING", "hello")
    assert line["logging.googleapis.com/labels"]["execution_id"] == "abc"
    assert "own" in (line.get(name), line.get(f"field.{name}"))


@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [
        object(),
        Unprintable(),
        Incomparable(),
        "\udce9",
        b"\xff",
        float("nan"),
        {1: 2, (3, 4): 5},
        {None: Unprintable()},
        10**5000,
        Decimal("NaN"),
        datetime(2026, 1, 31, tzinfo=UTC),
        {1, 2},
        [Unprintable()],
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_value_of_a_field_loses_the_line(fmt: str, value: Any, log: Log) -> None:
    log.configure(log_format=fmt)

    theirs.warning("hello", extra={"fields": {"value": value, "other": "kept"}})

    assert "hello" in log.text
    assert "kept" in log.text
    if fmt == "json":
        assert log.line["severity"] == "WARNING"


@pytest.mark.parametrize("odd", ["\udce9", b"\xff"], ids=ascii)
@pytest.mark.parametrize("number", [float("nan"), [float("inf")]], ids=repr)
def test_numbers_and_texts_that_json_has_not_are_one_valid_line(
    odd: Any, number: Any, log: Log
) -> None:
    theirs.warning("hello", extra={"fields": {"odd": odd, "number": number}})

    assert log.line["message"] == "hello"


def test_a_circle_loses_no_line(log: Log) -> None:
    circle: list[Any] = []
    circle.append(circle)

    theirs.warning("hello", extra={"fields": {"value": circle}})

    assert (log.line["message"], log.line["severity"]) == ("hello", "WARNING")


def test_a_line_that_cannot_be_written_in_full_still_has_its_execution(log: Log) -> None:
    LOG_CONTEXT.set(LogContext("task", "abc", "projects/p/traces/1"))

    theirs.warning("hello", extra={"fields": {"value": "\udce9"}})

    LOG_CONTEXT.set(None)
    assert log.line["logging.googleapis.com/labels"] == {"execution_id": "abc", "task": "task"}
    assert log.line["logging.googleapis.com/trace"] == "projects/p/traces/1"


@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize(
    "extra",
    [
        {"context": {"user": 1}},
        {"context": "checkout"},
        {"fields": ["a", "b"]},
        {"fields": "a"},
        {"fields": None},
    ],
    ids=repr,
)
def test_extras_of_users_that_are_named_like_ours_lose_no_line(
    fmt: str, extra: dict[str, Any], log: Log
) -> None:
    log.configure(log_format=fmt)

    theirs.warning("hello", extra=extra)

    assert "hello" in log.text


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_arguments_that_do_not_fit_the_message_lose_no_line(
    fmt: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.configure(log_format=fmt)

    theirs.warning("hello %d", "world")

    assert "hello %d" in log.text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=5,
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.dictionaries(st.text(max_size=10), VALUES, max_size=4), message=st.text())
def test_any_message_with_any_fields_is_one_line_of_json(
    fields: dict[str, Any], message: str, own_logging: None
) -> None:
    log = Log()
    log.configure()

    theirs.warning("%s", message, extra={"fields": fields})

    line = log.line
    assert line["severity"] == "WARNING"
    assert line["message"].encode(errors="replace") == message.encode(errors="replace")


# --- exceptions


def test_the_text_of_an_exception_is_withheld(log: Log) -> None:
    theirs.error("failed", exc_info=caught())

    line = log.line
    assert "ValueError" in line["stack_trace"]
    assert "test_setup.py" in line["stack_trace"]
    assert SECRET not in log.text
    assert "UCAM_FAAS_LOG_EXCEPTION_TEXT" in line["stack_trace"]


@pytest.mark.parametrize("options", [{"log_exception_text": True}, {"debug": True}], ids=str)
def test_the_text_of_an_exception_is_logged_when_asked_for(
    options: dict[str, bool], log: Log
) -> None:
    log.configure(**options)

    theirs.error("failed", exc_info=caught())

    assert SECRET in log.line["stack_trace"]


def test_withholding_wins_over_debug_when_it_is_asked_for(log: Log) -> None:
    log.configure(log_exception_text=False, debug=True)

    theirs.error("failed", exc_info=caught())

    assert SECRET not in log.text


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_an_exception_that_is_no_error_is_not_reported_as_one(level: int, log: Log) -> None:
    # Error Reporting is for unexpected errors: a handled one is a warning with a traceback.
    log.configure(log_level="DEBUG")

    theirs.log(level, "trying again", exc_info=caught())

    assert "@type" not in log.line
    assert "ValueError" in log.line["stack_trace"]


def test_exc_info_outside_an_exception_does_no_harm(log: Log) -> None:
    theirs.error("failed", exc_info=True)

    assert log.line["message"] == "failed"
    assert "stack_trace" not in log.line


# --- the format


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "stream", "expected"),
    [
        ({}, io.StringIO(), False),
        ({}, Terminal(), True),
        ({"debug": True}, io.StringIO(), True),
        ({"log_format": "json"}, Terminal(), False),
        ({"log_format": "json", "debug": True}, Terminal(), False),
        ({"log_format": "console"}, io.StringIO(), True),
    ],
)
def test_the_console_is_for_people(options: dict[str, Any], stream: Any, expected: bool) -> None:
    assert setup.is_console(Settings(**options), stream) is expected


@pytest.mark.usefixtures("own_logging")
def test_logging_goes_to_stdout_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    setup.configure(Settings(log_format="json"))

    theirs.info("hello")

    assert json.loads(capsys.readouterr().out)["message"] == "hello"


@pytest.mark.usefixtures("own_logging")
def test_an_encoding_loses_no_line() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    setup.configure(Settings(log_format="console"), stream)

    theirs.info("héllo")

    stream.flush()
    assert b"h\\xe9llo" in raw.getvalue()


# --- structlog


def adopt() -> Any:
    structlog.reset_defaults()
    setup.adopt_structlog()
    return structlog.get_logger("their.module")


def test_structlog_logs_in_the_same_form(log: Log) -> None:
    logger = adopt()

    logger.warning("hello %s", "world", user=1, names=["a"])

    line = log.line
    assert (line["severity"], line["message"]) == ("WARNING", "hello world")
    assert (line["user"], line["names"], line["logger"]) == (1, ["a"], "their.module")


@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize(
    "name", ["message", "level", "severity", "time", "fields", "context", "name", "extra", "msg"]
)
def test_a_field_of_structlog_harms_nothing_whatever_its_name(
    name: str, fmt: str, log: Log
) -> None:
    log.configure(log_format=fmt)
    logger = adopt()

    logger.warning("hello", **{name: "own"})

    assert "hello" in log.text
    assert "own" in log.text


def test_structlogs_levels_are_the_settings(log: Log) -> None:
    logger = adopt()

    logger.debug("no")
    logger.info("yes")

    assert log.line["message"] == "yes"


def test_exceptions_of_structlog_are_withheld_too(log: Log) -> None:
    logger = adopt()

    try:
        int(SECRET)
    except ValueError:
        logger.exception("failed", user=1)

    line = log.line
    assert (line["severity"], line["message"], line["user"]) == ("ERROR", "failed", 1)
    assert "ValueError" in line["stack_trace"]
    assert SECRET not in log.text


def test_values_bound_to_structlog_are_logged(log: Log) -> None:
    logger = adopt()

    with structlog.contextvars.bound_contextvars(tenant="t"):
        logger.bind(user=1).info("hello")

    assert (log.line["tenant"], log.line["user"]) == ("t", 1)


def test_structlog_inside_an_execution_has_its_labels(log: Log) -> None:
    logger = adopt()

    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        logger.info("inside")

    run(task)

    assert log.lines[0]["logging.googleapis.com/labels"]["task"] == "task"


@pytest.mark.parametrize("message", ["100% sure", "%s", "{}", "a % b"])
def test_signs_of_formatting_in_a_message_of_structlog_do_no_harm(message: str, log: Log) -> None:
    logger = adopt()

    logger.info(message)

    assert log.line["message"] == message


@pytest.mark.usefixtures("own_logging")
def test_structlog_that_somebody_configured_is_left_alone() -> None:
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    before = structlog.get_config()["processors"]

    setup.adopt_structlog()

    assert structlog.get_config()["processors"] is before


@pytest.mark.usefixtures("own_logging")
def test_structlog_is_not_imported_for_those_who_do_not_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "structlog")

    setup.adopt_structlog()

    assert "structlog" not in sys.modules


# --- what user code logs and sets up


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_extra_fields_are_shown(fmt: str, log: Log) -> None:
    log.configure(log_format=fmt)

    theirs.warning("hello", extra={"order": 7, "fields": {"more": "kept"}})

    if fmt == "json":
        assert (log.line["order"], log.line["more"]) == (7, "kept")
        assert "fields" not in log.line
    else:
        assert "order=7" in log.text
        assert "more=kept" in log.text


def test_a_records_own_attributes_are_no_fields(log: Log) -> None:
    theirs.warning("hello %s", "world", stack_info=False)

    assert log.line.keys() == {"severity", "message", "time", "logger"}


def test_extra_fields_that_are_called_fields_are_shown(log: Log) -> None:
    theirs.warning("hello", extra={"fields": "wheat"})

    assert log.line["fields"] == "wheat"


@pytest.fixture
def _enabled_again() -> Iterator[None]:
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.mark.usefixtures("_enabled_again")
@pytest.mark.parametrize("name", ["ucam_faas", "gunicorn.error", "uvicorn.error", "asyncio"])
def test_logging_set_up_later_changes_no_line_of_the_package(
    name: str, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.config.dictConfig(
        {
            "version": 1,  # disable_existing_loggers is true by default
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
            "root": {"handlers": ["out"], "level": "CRITICAL"},
        }
    )

    logging.getLogger(name).error("hello", exc_info=caught())

    assert log.line["message"] == "hello"
    assert SECRET not in log.text
    assert capsys.readouterr() == ("", "")


def test_the_roots_lines_may_be_left_as_they_are(log: Log) -> None:
    before = logging.root.handlers[:]

    setup.configure(Settings(log_format="json"), io.StringIO(), root=False)

    assert logging.root.handlers == before


# --- readers that are gone


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_without_a_reader_is_dropped_in_silence(
    own_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.configure(Settings(), ClosedPipe())

    theirs.warning("hello")

    assert capsys.readouterr() == ("", "")
