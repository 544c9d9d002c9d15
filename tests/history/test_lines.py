"""Log records become lines of the history."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.history.events import End, Logged, pack, unpack
from ucam_faas.history.lines import row_of_line
from ucam_faas.logs.records import record_of

END = {
    "task": "store",
    "outcome": "done",
    "execution_id": "run-1",
    "message_id": "17",
    "subscription": "projects/local/subscriptions/store",
    "delivery_attempt": 2,
    "duration_seconds": 0.25,
    "execution_info": {"execution": {"status": "completed"}, "execution_id": "run-1"},
}


def line(message: str, fields: dict[str, Any], level: int = logging.INFO, **values: Any) -> Logged:
    """Return the line that another process gets."""
    record = record_of(level, message, fields)
    record.created = 1000.0
    record.__dict__.update(values)
    ((event,), _) = unpack(pack([row_of_line(record)]))
    assert isinstance(event, Logged)
    return event


def test_the_end_of_an_execution_is_a_line_without_fields() -> None:
    message = "ucam_faas_function_completed"
    assert line(message, END) == Logged(
        1000.0, "INFO", message, "store", "run-1", "17", "store", attempt=2,
        end=End("done", "", "", 0.25, is_failure=False),
    )  # fmt: skip


def test_an_attempt_that_no_database_can_count_is_a_large_one() -> None:
    """A request may claim any number."""
    end = line("ucam_faas_function_completed", {**END, "delivery_attempt": 10**30})

    assert end.attempt == 1_000_000


def test_a_value_of_any_type_is_packed_as_its_text() -> None:
    """The thread that packs would end with an error, and the history with it."""
    ((event,), _) = unpack(pack([Logged(0.0, "INFO", Path("a/file"))]))  # type: ignore[arg-type]

    assert event == Logged(0.0, "INFO", "a/file")


@pytest.mark.parametrize("length", [1, 3, 8, 20, 90])
@pytest.mark.parametrize("between", [b"", b"\xff" * 1000, b"\xf8\xf9\xfa\xfb" * 100])
def test_what_is_no_line_is_skipped(length: int, between: bytes) -> None:
    """A process was killed while it wrote."""
    broken = pack([Logged(0.0, "INFO", "never whole " * 10)])[:length]
    lines = b"".join(pack([Logged(0.0, "INFO", f"line {number}")]) for number in range(9))

    events, size = unpack(broken + between + lines)

    assert [event.message for event in events] == [f"line {number}" for number in range(9)]
    assert size == len(broken + between + lines)


def test_what_an_end_has_beyond_the_usual_is_in_its_fields() -> None:
    report = {**END["execution_info"], "rows": 12}  # type: ignore[dict-item]
    fields = {**END, "http_status": 201, "execution_info": report}
    assert json.loads(line("ucam_faas_function_completed", fields).fields) == {
        "http_status": 201,
        "rows": 12,
    }


def test_a_crash_has_its_reason_and_its_traceback() -> None:
    try:
        raise KeyError("umbrella")
    except KeyError as error:
        info = (KeyError, error, error.__traceback__)
    fields = {**END, "outcome": "crashed"}
    crash = line("ucam_faas_function_aborted", fields, logging.ERROR, exc_info=info)

    assert crash.end == End("crashed", "KeyError: 'umbrella'", "KeyError", 0.25, is_failure=True)
    assert crash.traceback.startswith("Traceback")


def test_an_expected_failure_has_its_reason_and_no_traceback() -> None:
    fields = {**END, "outcome": "failed", "reason": "the bank is closed"}
    values = {"exc_info": None, "expected": ValueError("the bank is closed")}
    failure = line("ucam_faas_function_aborted", fields, logging.ERROR, **values)

    assert failure.end == End("failed", "the bank is closed", "ValueError", 0.25, is_failure=True)
    assert failure.traceback == ""


def test_any_other_line_keeps_its_fields() -> None:
    assert line("looking", {"order": 17}) == Logged(
        1000.0, "INFO", "looking", fields='{"order":17}'
    )
