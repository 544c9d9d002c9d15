"""Every row of "Outcomes over HTTP": statuses and fixed texts."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from ucam_faas.testing import (
    Client,
    MemoryPublisher,
    make_message,
    make_push,
    serve,
)

from .harness import fields_of, lines, messages

FAILED = "An error occurred while handling the CloudEvent"
EVENT = {"specversion": "1.0", "id": "1", "source": "//example.com", "type": "com.example.made"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
MakeClient = Callable[..., Client]


class User(BaseModel):
    name: str


def task_that(kind: str, act: Callable[[], Any]) -> Any:
    """Make a task called `task` of a kind, which calls `act` for every event."""

    def task(payload: Any) -> Any:
        return act()

    async def async_task(payload: Any) -> Any:
        return act()

    async_task.__name__ = "task"
    timeout = timedelta(seconds=2)  # so that an answer that never comes is a failure, no hang
    decorators: dict[str, Any] = {
        "raw": ucam_faas.raw_event(timeout=timeout),
        "cloud_event": ucam_faas.cloud_event(timeout=timeout),
        "event_data": ucam_faas.cloud_event_handler(
            event_data_parser=lambda event: event, timeout=timeout
        ),
        "message": ucam_faas.message_handler(message_type=None, timeout=timeout),
    }
    kind, _, how = kind.partition(" ")
    return decorators[kind](async_task if how == "async" else task)


def deliver(client: Client, kind: str) -> Any:
    if kind.startswith(("raw", "message")):
        return client.push("task", b"hello")
    return client.post("/task", json=EVENT, headers=STRUCTURED)


def throw(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


HANDLERS = ("message", "event_data", "message async", "event_data async")
GIVE_RESPONSES = ("raw", "cloud_event", "raw async", "cloud_event async")
ALL = HANDLERS + GIVE_RESPONSES


@pytest.mark.parametrize("kind", [*HANDLERS, "cloud_event", "cloud_event async"])
def test_none_is_answered_200_ok(kind: str, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(task_that(kind, lambda: None))

    response = deliver(client, kind)

    assert (response.status, response.text) == (200, "OK")


@pytest.mark.parametrize("kind", ["raw", "raw async"])
def test_none_of_a_raw_task_is_an_empty_body(kind: str, ucam_faas_client: MakeClient) -> None:
    client = ucam_faas_client(task_that(kind, lambda: None))

    response = deliver(client, kind)

    assert (response.status, response.text) == (200, "")


@pytest.mark.parametrize("kind", HANDLERS)
@pytest.mark.parametrize("value", [{"deleted": 3}, [1], "text", 0, False, 1.5], ids=repr)
def test_a_json_value_of_a_handler_is_answered_200_ok_and_not_sent_back(
    kind: str, value: Any, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that(kind, lambda: value))

    response = deliver(client, kind)

    assert (response.status, response.text) == (200, "OK")


@pytest.mark.parametrize("kind", HANDLERS)
def test_an_execution_info_of_a_handler_is_answered_200_and_logged(
    kind: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    info = ucam_faas.ExecutionInfo(deleted=3)  # type: ignore[call-arg]  # extra fields are kept
    client = ucam_faas_client(task_that(kind, lambda: info))

    response = deliver(client, kind)

    assert (response.status, response.text) == (200, "OK")
    logged = fields_of(caplog.records, "ucam_faas_function_completed")
    assert logged["execution_info"]["deleted"] == 3


@pytest.mark.parametrize("kind", GIVE_RESPONSES)
def test_an_expected_failure_is_500_with_the_name_of_its_class(
    kind: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(task_that(kind, throw(ucam_faas.UCAMFAASCouldNotProcess("secret"))))

    response = deliver(client, kind)

    assert (response.status, response.text) == (500, "The function raised UCAMFAASCouldNotProcess.")
    assert lines(caplog.records) == ["function_failed_gracefully"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert not record.exc_info


@pytest.mark.parametrize("kind", HANDLERS)
def test_an_expected_failure_of_a_handler_is_500_with_the_fixed_text(
    kind: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(task_that(kind, throw(ucam_faas.UCAMFAASException("secret"))))

    response = deliver(client, kind)

    assert (response.status, response.text) == (500, FAILED)
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]


@pytest.mark.parametrize("kind", GIVE_RESPONSES)
def test_an_uncaught_exception_is_500_and_exactly_one_line_with_its_traceback(
    kind: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(task_that(kind, throw(KeyError("secret"))))

    response = deliver(client, kind)

    assert response.status == 500
    assert "secret" not in response.text
    assert messages(caplog.records) == ["function_failed_uncaught_exception"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
    assert "ucam_faas/serving" not in traceback.extract_tb(record.exc_info[2])[0].filename


@pytest.mark.parametrize("kind", HANDLERS)
def test_an_uncaught_exception_of_a_handler_is_500_with_the_fixed_text(
    kind: str, ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = ucam_faas_client(task_that(kind, throw(KeyError("secret"))))

    response = deliver(client, kind)

    assert (response.status, response.text) == (500, FAILED)
    assert messages(caplog.records) == ["ucam_faas_function_aborted"]


class OddError(BaseException):
    """An exception that `except Exception` lets through."""


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("error", [SystemExit(0), OddError("secret")], ids=repr)
def test_what_is_no_exception_is_500_at_once(
    kind: str, error: BaseException, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that(kind, throw(error)))

    response = deliver(client, kind)

    assert response.status == 500


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("returned", [False, True], ids=["raised", "returned"])
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ucam_faas.Retry(), 429),
        (ucam_faas.Ignore("why"), 200),
        (ucam_faas.DeadLetter("why"), 500),
    ],
    ids=repr,
)
def test_outcomes_are_raised_or_returned(
    kind: str, returned: bool, outcome: Any, status: int, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that(kind, (lambda: outcome) if returned else throw(outcome)))

    response = deliver(client, kind)

    assert response.status == status
    assert "why" not in response.text


class Later(ucam_faas.Retry):
    """A task's own kind of outcome."""


class Unwanted(ucam_faas.Ignore):
    """A task's own kind of outcome."""


@pytest.mark.parametrize("kind", ["message", "raw async"])
@pytest.mark.parametrize(
    ("outcome", "status"), [(Later(), 429), (Unwanted("why"), 200)], ids=["retry", "ignore"]
)
def test_a_subclass_of_an_outcome_is_that_outcome(
    kind: str, outcome: Any, status: int, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that(kind, throw(outcome)))

    response = deliver(client, kind)

    assert response.status == status


@pytest.mark.parametrize(
    ("after", "header"),
    [
        (timedelta(seconds=30), "30"),
        (timedelta(milliseconds=1), "1"),
        (timedelta(0), "0"),
        (timedelta(days=400), str(400 * 86400)),
        (None, None),
    ],
    ids=str,
)
def test_retry_says_when_in_whole_seconds_rounded_up(
    after: timedelta | None, header: str | None, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that("message", throw(ucam_faas.Retry(after))))

    response = deliver(client, "message")

    assert (response.status, response.text) == (429, "Try again later")
    assert response.headers.get("retry-after") == header


def test_a_dead_letter_is_acknowledged_when_it_is_on_its_topic(
    ucam_faas_client: MakeClient, ucam_faas_publisher: MemoryPublisher
) -> None:
    ucam_faas_publisher.topics["projects/p/topics/dead"] = []

    @ucam_faas.message_handler(message_type=User, dead_letter_topic="projects/p/topics/dead")
    def task(user: User) -> None:
        raise ucam_faas.DeadLetter("no such user")

    client = ucam_faas_client(task, publisher=ucam_faas_publisher)

    statuses = [client.push("task", data).status for data in (b'{"name": "Ada"}', b"{}")]

    assert statuses == [200, 200]
    assert len(ucam_faas_publisher.topics["projects/p/topics/dead"]) == 2


def test_a_dead_letter_that_cannot_be_published_is_no_acknowledgement(
    ucam_faas_client: MakeClient, ucam_faas_publisher: MemoryPublisher
) -> None:
    @ucam_faas.message_handler(message_type=User, dead_letter_topic="projects/p/topics/none")
    async def task(user: User) -> None:
        raise ucam_faas.DeadLetter("no such user")

    client = ucam_faas_client(task, publisher=ucam_faas_publisher)

    statuses = [client.push("task", data).status for data in (b'{"name": "Ada"}', b"{}")]

    assert statuses == [500, 400]


def test_an_aborted_info_with_a_reason_of_ones_own_is_500(
    ucam_faas_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    aborted = ucam_faas.AbortedExecutionResult(reason="quota used up")
    info = ucam_faas.ExecutionInfo(execution=aborted)
    client = ucam_faas_client(task_that("message", lambda: info))

    response = deliver(client, "message")

    assert response.status == 500
    assert response.text == "Failed to handle event for unknown reason"
    assert lines(caplog.records) == ["ucam_faas_function_aborted"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (ucam_faas.AbortedExecutionReason.FUNCTION_ABORTED, 500),
        (ucam_faas.AbortedExecutionReason.CLOUD_EVENT_TYPE_INCORRECT, 400),
        (ucam_faas.AbortedExecutionReason.SERVICE_DATA_INVALID, 400),
        (ucam_faas.AbortedExecutionReason.USER_DATA_INVALID, 400),
    ],
)
@pytest.mark.parametrize("raised", [False, True], ids=["returned", "raised"])
def test_an_aborted_info_with_a_known_reason_has_that_reasons_status(
    reason: ucam_faas.AbortedExecutionReason,
    status: int,
    raised: bool,
    ucam_faas_client: MakeClient,
) -> None:
    info = ucam_faas.ExecutionInfo(execution=ucam_faas.AbortedExecutionResult(reason=reason))
    error = ucam_faas.ExecutionAbortedException(execution_info=info)
    client = ucam_faas_client(task_that("message", throw(error) if raised else lambda: info))

    response = deliver(client, "message")

    assert response.status == status


REJECTED: list[tuple[str, bytes, dict[str, str], str]] = [
    ("wrong type", json.dumps(EVENT).encode(), STRUCTURED, "The CloudEvent has the wrong type"),
    ("no message", b'{"message": 7}', {"content-type": "application/json"}, "is malformed"),
    ("no id", b'{"specversion": "1.0"}', STRUCTURED, "The event is malformed"),
    ("no JSON", b"{", STRUCTURED, "The event is malformed"),
]


@pytest.mark.parametrize(
    ("body", "headers", "text"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED]
)
def test_a_message_that_a_handler_cannot_accept_is_400_with_a_fixed_text(
    body: bytes, headers: dict[str, str], text: str, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that("message", lambda: None))

    response = client.post("/task", body=body, headers=headers)

    assert response.status == 400
    assert text in response.text


@pytest.mark.parametrize("data", [b"", b"{}", b'{"name": 5}', b"\xff", b"[]"], ids=repr)
def test_a_rejected_payload_is_400_with_a_fixed_text(
    data: bytes, ucam_faas_client: MakeClient
) -> None:
    @ucam_faas.message_handler(message_type=User)
    def task(user: User) -> None:
        raise AssertionError("never")

    client = ucam_faas_client(task)

    response = client.push("task", data)

    assert (response.status, response.text) == (400, "The payload is invalid")


def test_an_event_of_another_type_is_400(ucam_faas_client: MakeClient) -> None:
    parser = ucam_faas.CloudEventType(event_type="com.example.other", event_data_model=User)

    @ucam_faas.cloud_event_handler(event_data_parser=parser)
    def task(user: User) -> None:
        raise AssertionError("never")

    client = ucam_faas_client(task)

    response = client.post("/task", json=EVENT, headers=STRUCTURED)

    assert (response.status, response.text) == (400, "The CloudEvent has the wrong type")


@pytest.mark.parametrize("kind", ["message", "cloud_event", "event_data"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 400),
        (b"", "application/json", 400),
        (b"hello", "", 400),
        (b"hello", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/cloudevents-batch+json", 415),
    ],
)
def test_a_body_without_an_event_is_400_and_of_another_media_type_415(
    kind: str, body: bytes, content_type: str, status: int, ucam_faas_client: MakeClient
) -> None:
    client = ucam_faas_client(task_that(kind, lambda: None))

    response = client.post("/task", body=body, headers={"content-type": content_type})

    assert response.status == status
    texts = {
        400: "Neither a CloudEvent nor a Pub/Sub push",
        415: "Expected JSON or a CloudEvent",
    }
    assert response.text == texts[status]


def test_a_raw_task_takes_any_bytes(ucam_faas_client: MakeClient) -> None:
    seen: list[bytes] = []

    @ucam_faas.raw_event
    def task(body: bytes) -> None:
        seen.append(body)

    client = ucam_faas_client(task)

    response = client.post("/task", body=b"\xff\x00", headers={"content-type": "text/plain"})

    assert response.status == 200
    assert seen == [b"\xff\x00"]


def test_a_message_arrives_the_same_in_every_form() -> None:
    seen: list[tuple[bytes, str, str]] = []

    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        context = ucam_faas.MESSAGE_CONTEXT.get()
        message = context.pubsub_message
        seen.append((data, message.message_id, message.ordering_key))

    message = make_message(b"hello", message_id="7", ordering_key="k", attributes={"a": "b"})
    wrapped = make_push(message)
    unwrapped = make_push(message, wrapped=False)
    content = json.loads(wrapped.body)
    event = {**EVENT, "type": ucam_faas.PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE}
    binary = {f"ce-{name}": value for name, value in event.items()}
    with serve(task) as client:
        answers = [
            client.post("/task", body=wrapped.body, headers=wrapped.headers),
            client.post("/task", body=unwrapped.body, headers=unwrapped.headers),
            client.post("/task", json={**event, "data": content}, headers=STRUCTURED),
            client.post("/task", json=content, headers=binary),
        ]

    assert [answer.status for answer in answers] == [200] * 4
    assert seen == [(b"hello", "7", "k")] * 4
