"""Each execution is one line without personal data, whatever report the task returns."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.log import Log
from ucam_faas import (
    DEFAULT_EXECUTION_RESULT_LOGGER,
    AbortedExecutionResult,
    DeadLetter,
    ExecutionAbortedException,
    ExecutionInfo,
    HandlerExecutionOptions,
    Ignore,
    JsonRepresentation,
    MessageHandlerExecutionInfo,
    Retry,
    StructlogJsonExecutionResultLogger,
    UCAMFAASException,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.config import Settings
from ucam_faas.events.envelopes import decode, raw
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import log_lines, pipeline
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import MalformedEvent, TimedOut
from ucam_faas.testing import (
    ManualClock,
    conclude,
    make_cloud_event,
    make_message,
    make_push,
    run,
    serve,
)

from .stopping import stop

SECRET = "07700 900123"
ERROR_EVENT = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
LABELS = "logging.googleapis.com/labels"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


class User(BaseModel):
    phone: int


def runtime(**settings: Any) -> Runtime:
    return Runtime(Settings(**settings), ManualClock())


def handler(act: Any, **options: Any) -> Any:
    def task(payload: Any) -> Any:
        return act(payload)

    return message_handler(message_type=options.pop("message_type", None), **options)(task)


def throw(error: BaseException) -> Any:
    def act(payload: Any) -> Any:
        raise error

    return act


# --- the line


def test_an_execution_is_one_line_in_cloud_loggings_form(log: Log) -> None:
    task = handler(lambda data: None)
    push = make_push(make_message(b"hi", message_id="7"), subscription="s", delivery_attempt=2)
    envelope = decode(push.body, {"function-execution-id": "abc"})

    execute(Execution(task.task, envelope, runtime()))

    line = log.line
    assert line["severity"] == "INFO"
    assert line["message"] == "ucam_faas_function_completed"
    assert line["time"].endswith("Z")
    assert line[LABELS] == {"execution_id": "abc", "task": "task"}
    assert (line["task"], line["outcome"], line["execution_id"]) == ("task", "done", "abc")
    assert (line["message_id"], line["subscription"], line["delivery_attempt"]) == ("7", "s", 2)
    assert line["duration_seconds"] == 0
    assert line["execution_info"]["execution"]["status"] == "COMPLETED"


def info(**fields: Any) -> Any:
    return lambda data: ExecutionInfo(**fields)


EVENT = make_cloud_event(None)
ABORTED = AbortedExecutionResult(reason="my.reason")
CASES = [
    # kind, what the function does, severity, message, outcome
    ("message", lambda data: None, "INFO", "ucam_faas_function_completed", "done"),
    ("message", info(deleted=3), "INFO", "ucam_faas_function_completed", "done"),
    ("message", throw(Ignore("x")), "INFO", "ucam_faas_function_completed", "ignore"),
    ("message", throw(Retry()), "WARNING", "ucam_faas_function_aborted", "retry"),
    ("message", throw(DeadLetter("x")), "WARNING", "ucam_faas_function_aborted", "dead_letter"),
    ("message", throw(UCAMFAASException()), "WARNING", "ucam_faas_function_aborted", "failed"),
    ("message", info(execution=ABORTED), "WARNING", "ucam_faas_function_aborted", "failed"),
    ("message", throw(ValueError()), "ERROR", "ucam_faas_function_aborted", "crashed"),
    ("message", throw(SystemExit(1)), "ERROR", "ucam_faas_function_aborted", "crashed"),
    ("data", throw(ValueError()), "ERROR", "ucam_faas_function_aborted", "crashed"),
    ("raw", lambda data: None, "INFO", "ucam_faas_function_completed", "done"),
    ("raw", throw(UCAMFAASException()), "WARNING", "function_failed_gracefully", "failed"),
    ("raw", throw(ValueError()), "ERROR", "function_failed_uncaught_exception", "crashed"),
    ("event", throw(UCAMFAASException()), "WARNING", "function_failed_gracefully", "failed"),
    ("event", throw(ValueError()), "ERROR", "function_failed_uncaught_exception", "crashed"),
]


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize(("kind", "act", "severity", "message", "outcome"), CASES)
def test_every_outcome_is_one_line(
    kind: str, act: Any, severity: str, message: str, outcome: str, how: str, log: Log
) -> None:
    decorators: dict[str, Any] = {
        "message": (message_handler(message_type=None), b""),
        "data": (cloud_event_handler(event_data_parser=lambda event: event), EVENT),
        "raw": (raw_event, b""),
        "event": (cloud_event, EVENT),
    }

    def task(payload: Any) -> Any:
        return act(payload)

    async def async_task(payload: Any) -> Any:
        return act(payload)

    decorate, event = decorators[kind]
    conclude(decorate(task if how == "sync" else async_task), event)

    line = log.line
    assert (line["severity"], line["message"], line["outcome"]) == (severity, message, outcome)
    assert ("stack_trace" in line) == (severity == "ERROR")
    assert ("@type" in line) == (severity == "ERROR")


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (b'{"phone": "x"}', "invalid_payload", "phone: int_parsing"),
        (make_cloud_event({}, type="other"), "wrong_event_type", "type: expected"),
    ],
    ids=["payload", "type"],
)
def test_a_rejected_message_is_one_warning_with_its_reason(
    event: Any, outcome: str, reason: str, log: Log
) -> None:
    conclude(handler(lambda data: None, message_type=User), event)

    line = log.line
    assert (line["severity"], line["outcome"]) == ("WARNING", outcome)
    assert line["reason"].startswith(reason)
    assert "stack_trace" not in line


def test_the_reason_of_an_outcome_is_logged(log: Log) -> None:
    conclude(handler(throw(Retry(reason="busy"))))

    assert log.line["reason"] == "busy"


def test_an_unexpected_error_has_the_form_of_error_reporting(log: Log) -> None:
    log.configure(service="my-service", revision="my-service-1")

    conclude(handler(throw(ValueError("x"))))

    line = log.line
    assert line["@type"] == ERROR_EVENT
    assert line["serviceContext"] == {"service": "my-service", "version": "my-service-1"}
    assert line["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert "in act" in line["stack_trace"]
    assert "ValueError" in line["stack_trace"]
    assert "execution.py" not in line["stack_trace"]


def test_a_stopped_execution_is_one_line(log: Log) -> None:
    task = handler(lambda data: None)
    execution = Execution(task.task, decode(make_push(b"").body, {}), runtime())

    conclusion = stop(execution, TimedOut())

    assert conclusion is not None
    log_lines.write(conclusion.line)
    assert (log.line["severity"], log.line["outcome"]) == ("WARNING", "timed_out")
    assert log.line["message"] == "ucam_faas_function_aborted"


def test_a_late_end_is_one_warning(log: Log) -> None:
    task = handler(lambda data: stop(execution, TimedOut()) and None)
    execution = Execution(task.task, decode(make_push(b"").body, {}), runtime())

    pipeline.run(execution)

    line = log.line
    assert line["message"] == "ucam_faas_function_ended_late"
    assert line[LABELS]["execution_id"] == execution.delivery.execution_id


def test_a_rejected_request_is_one_line(log: Log) -> None:
    log_lines.log_rejected(MalformedEvent("message: missing"), "POST", "/task" * 1000)

    line = log.line
    assert (line["severity"], line["message"]) == ("WARNING", "ucam_faas_request_rejected")
    assert (line["outcome"], line["detail"]) == ("malformed_event", "message: missing")
    assert line["request"] == "POST " + "/task" * 40


@pytest.mark.parametrize(("level", "count"), [("INFO", 1), ("WARNING", 0), ("ERROR", 0)])
def test_the_level_holds_lines_back(level: str, count: int, log: Log) -> None:
    log.configure(log_level=level)

    conclude(handler(lambda data: None))

    assert len(log.lines) == count


# --- traces


@pytest.mark.parametrize(
    ("project", "trace"), [("p", f"projects/p/traces/{TRACE_ID}"), (None, TRACE_ID)]
)
@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False)])
def test_the_line_is_part_of_the_trace(
    project: str | None, trace: str, flags: str, sampled: bool, log: Log
) -> None:
    task = handler(lambda data: logging.getLogger("theirs").info("inside"))
    headers = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-{flags}"}
    envelope = decode(make_push(b"").body, headers)

    execute(Execution(task.task, envelope, runtime(project=project)))

    assert len(log.lines) == 2
    for line in log.lines:
        assert line["logging.googleapis.com/trace"] == trace
        assert line["logging.googleapis.com/spanId"] == SPAN_ID
        assert line["logging.googleapis.com/trace_sampled"] is sampled


def test_without_a_trace_there_are_no_fields_of_one(log: Log) -> None:
    conclude(handler(lambda data: None))

    assert [name for name in log.line if "trace" in name or "span" in name] == []


def test_a_trace_without_a_span_or_a_decision_has_none(log: Log) -> None:
    task = handler(lambda data: None)
    envelope = decode(make_push(b"").body, {"x-cloud-trace-context": TRACE_ID})

    execute(Execution(task.task, envelope, runtime()))

    assert log.line["logging.googleapis.com/trace"] == TRACE_ID
    assert "logging.googleapis.com/spanId" not in log.line
    assert "logging.googleapis.com/trace_sampled" not in log.line


# --- what is left out


def secret_message() -> Any:
    return make_message(SECRET, attributes={SECRET: SECRET, "k": SECRET}, ordering_key=SECRET)


def quote(data: bytes) -> Any:
    """Raise what quotes the payload, as errors do, with causes, notes and groups."""
    try:
        try:
            int(data)
        except ValueError as error:
            error.add_note(data.decode())
            raise KeyError(data) from error
    except KeyError as error:
        raise ExceptionGroup(data.decode(), [error, ValueError(data)])  # noqa: B904  # a context


async def quote_async(data: bytes) -> Any:
    return quote(data)


SECRETIVE = {
    "returns it": lambda data: data.decode(),
    "returns an info": lambda data: MessageHandlerExecutionInfo(),
    "raises": quote,
    "expected": lambda data: throw(UCAMFAASException(data))(data),
    "aborts": lambda data: ExecutionInfo(
        execution=AbortedExecutionResult(exception=ValueError(data))
    ),
    "raises aborted": lambda data: throw(
        ExecutionAbortedException(data.decode(), execution_info=ExecutionInfo())
    )(data),
    "not json": lambda data: {data},
}


@pytest.mark.parametrize("act", SECRETIVE.values(), ids=SECRETIVE)
def test_nothing_of_a_message_or_an_exception_is_logged(act: Any, log: Log) -> None:
    run(handler(act), secret_message())

    assert log.lines
    assert SECRET not in log.text
    assert "MDc3MDAg" not in log.text, "in base64"


@pytest.mark.parametrize("message_type", [User, int, quote], ids=["model", "int", "function"])
def test_nothing_of_a_rejected_payload_is_logged(message_type: Any, log: Log) -> None:
    run(handler(lambda data: None, message_type=message_type), secret_message())

    assert log.line["outcome"] == "invalid_payload"
    assert SECRET not in log.text


def test_nothing_of_a_rejected_models_values_is_logged(log: Log) -> None:
    run(handler(lambda data: None, message_type=User), {"phone": {SECRET: SECRET}})

    assert SECRET not in log.text


def test_nothing_of_a_crash_in_an_async_task_is_logged(log: Log) -> None:
    run(message_handler(message_type=None)(quote_async), secret_message())

    assert log.line["severity"] == "ERROR"
    assert SECRET not in log.text


def test_payloads_and_results_are_logged_when_asked_for(log: Log) -> None:
    task = handler(lambda data: data.decode())

    conclude(task, secret_message(), runtime=runtime(log_payloads=True))

    info = log.line["execution_info"]
    assert info["result"] == SECRET
    assert info["pubsub_message"]["attributes"]["k"] == SECRET
    assert info["pubsub_message"]["data"].startswith("MDc3MDAg")


def test_exception_texts_are_logged_when_asked_for(log: Log) -> None:
    log.configure(log_exception_text=True)

    conclude(handler(quote), SECRET)

    assert SECRET in log.line["stack_trace"]


# --- whatever a report holds

NAMES = [
    "event",
    "level",
    "message",
    "severity",
    "time",
    "labels",
    "timestamp",
    "logger",
    "exc_info",
]


def test_fields_of_a_report_clash_with_nothing(log: Log) -> None:
    conclude(handler(lambda data: ExecutionInfo(**dict.fromkeys(NAMES, "own"))))

    line = log.line
    assert (line["severity"], line["message"]) == ("INFO", "ucam_faas_function_completed")
    assert {name: line["execution_info"][name] for name in NAMES} == dict.fromkeys(NAMES, "own")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), [float("nan")]], ids=repr
)
def test_numbers_that_json_has_not_leave_the_line_valid(value: Any, log: Log) -> None:
    conclude(handler(lambda data: ExecutionInfo(ratio=value)))

    assert "ratio" in log.line["execution_info"]
    assert log.line["outcome"] == "done"


@pytest.mark.parametrize("value", ["\udce9", {"\udce9": 1}], ids=ascii)
def test_texts_that_utf_8_has_not_leave_the_line_valid(value: Any, log: Log) -> None:
    conclude(handler(lambda data: ExecutionInfo(name=value)))

    assert log.lines[-1]["outcome"] == "done"
    assert log.lines[-1]["severity"] == "INFO"


def test_an_info_that_cannot_be_serialised_leaves_the_rest_of_the_line(log: Log) -> None:
    conclude(handler(lambda data: ExecutionInfo(thing=object())))

    problem, line = log.lines
    assert (problem["severity"], problem["message"]) == ("ERROR", "ucam_faas_report_failed")
    assert (line["message"], line["outcome"]) == ("ucam_faas_function_completed", "done")
    assert "execution_info" not in line


# --- loggers of tasks


def test_a_tasks_logger_gets_the_info_instead_of_the_line(log: Log) -> None:
    seen: list[ExecutionInfo] = []
    options = HandlerExecutionOptions(log_execution_result=seen.append)

    conclusion = conclude(handler(lambda data: None, options=options))

    assert seen == [conclusion.info]
    assert seen[0].execution.duration_seconds is not None
    assert log.lines == []


@pytest.mark.parametrize("act", [lambda data: None, throw(ValueError("x"))], ids=["done", "crash"])
@pytest.mark.parametrize("error", [ValueError("x"), KeyError(), TypeError()], ids=repr)
def test_a_logger_that_fails_changes_nothing(act: Any, error: Exception, log: Log) -> None:
    options = HandlerExecutionOptions(log_execution_result=throw(error))

    conclusion = conclude(handler(act, options=options))
    expected = conclude(handler(act))

    assert type(conclusion.outcome) is type(expected.outcome)
    assert log.lines[0]["message"] == "ucam_faas_report_failed"


def test_a_deep_representation_is_the_info_as_it_is(log: Log) -> None:
    StructlogJsonExecutionResultLogger(JsonRepresentation.NARROW_DEEP)(ExecutionInfo(a={"b": 1}))

    assert log.line["execution_info"] == {
        "execution": {"status": "COMPLETED", "duration_seconds": None},
        "a": {"b": 1},
    }


def test_a_wide_representation_has_dotted_names(log: Log) -> None:
    StructlogJsonExecutionResultLogger(JsonRepresentation.WIDE_FLAT)(
        ExecutionInfo(a={"b": {"c": 1}}, empty={}, items=[{"d": 1}])
    )

    assert log.line["execution_info"] == {
        "execution.status": "COMPLETED",
        "execution.duration_seconds": None,
        "a.b.c": 1,
        "empty": {},
        "items": [{"d": 1}],
    }


@pytest.mark.parametrize(
    ("result", "severity", "message"),
    [
        (None, "INFO", "ucam_faas_function_completed"),
        (ABORTED, "ERROR", "ucam_faas_function_aborted"),
    ],
)
def test_the_default_logger_logs_an_info(
    result: Any, severity: str, message: str, log: Log
) -> None:
    info = ExecutionInfo() if result is None else ExecutionInfo(execution=result)

    DEFAULT_EXECUTION_RESULT_LOGGER(info)

    assert (log.line["severity"], log.line["message"]) == (severity, message)


def test_the_default_logger_leaves_payloads_out(log: Log) -> None:
    options = HandlerExecutionOptions(log_execution_result=DEFAULT_EXECUTION_RESULT_LOGGER)

    run(handler(quote, options=options), secret_message())

    assert log.line["message"] == "ucam_faas_function_aborted"
    assert SECRET not in log.text


def test_representations_are_named_as_in_version_1() -> None:
    assert JsonRepresentation("deep") is JsonRepresentation.NARROW_DEEP
    assert JsonRepresentation("wide") is JsonRepresentation.WIDE_FLAT


def test_an_http_tasks_failure_is_named_as_a_raw_tasks(log: Log) -> None:
    @http(path="/users")
    def users(request: Any) -> None:
        raise ValueError("x")

    execute(Execution(users.task, raw(b"", {}), runtime(), call=lambda function: function(None)))

    assert log.line["message"] == "function_failed_uncaught_exception"


def test_the_status_of_an_http_tasks_response_is_logged(log: Log) -> None:
    @http(path="/users", methods=("POST",))
    def users(request: Any) -> tuple[str, int]:
        return "made", 201

    with serve(users) as client:
        log.configure()
        client.request("POST", "/users")

    assert log.line["http_status"] == 201


# --- texts


@message_handler(message_type=None)
def elsewhere(data: bytes) -> None: ...


def test_the_text_of_a_publication_that_is_not_configured_is_logged(log: Log) -> None:
    @message_handler(message_type=None)
    def relay(data: bytes) -> None:
        elsewhere.publish(data)

    log.configure()
    run(relay, b"x")

    error = log.line["error"]
    assert error.startswith("ucam_faas.exceptions.NotConfiguredError: The task publishes, and the")


def test_the_text_of_another_configuration_error_is_not_logged(log: Log) -> None:
    @message_handler(message_type=None)
    def relay(data: bytes) -> None:
        raise ConfigurationError(data.decode())

    log.configure()
    run(relay, b"07700 900123")

    assert log.line["error"] == "ucam_faas.exceptions.ConfigurationError"
