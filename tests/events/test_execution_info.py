"""The report's JSON is what existing users read, and it can be extended."""

from __future__ import annotations

import json
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from ucam_faas import (
    CLOUD_EVENT_CONTEXT,
    MESSAGE_CONTEXT,
    AbortedExecutionReason,
    AbortedExecutionResult,
    CloudEventAttributes,
    CloudEventHandlerAttributes,
    CloudEventHandlerContext,
    CloudEventHandlerExecutionInfo,
    CompletedExecutionResult,
    ExecutionInfo,
    ExecutionStatus,
    MessageHandlerAttributes,
    MessageHandlerContext,
    MessageHandlerExecutionInfo,
    PubsubMessage,
)
from ucam_faas.testing import make_cloud_event

ATTRIBUTES = CloudEventAttributes(
    event_id="1",
    event_source="//example.com",
    event_type="t",
    event_subject="s",
    event_time="2026-01-31T09:00:00Z",
)
MESSAGE = PubsubMessage(
    data=b"\xfb\xff",
    attributes={"k": "v"},
    message_id="7",
    publish_time=datetime(2026, 1, 31, 9, tzinfo=UTC),
)


def in_context(make: Any) -> Any:
    """Call `make` where an execution of a message handler runs."""

    def run() -> Any:
        CLOUD_EVENT_CONTEXT.set(
            CloudEventHandlerContext(
                ATTRIBUTES,
                lambda: make_cloud_event(None),
                "abc",
                CloudEventHandlerAttributes(input_event_accepted=True),
            )
        )
        MESSAGE_CONTEXT.set(
            MessageHandlerContext(
                MESSAGE, handler=MessageHandlerAttributes(input_message_accepted=True)
            )
        )
        return make()

    return copy_context().run(run)


def test_a_completed_info_in_json() -> None:
    info = ExecutionInfo()

    assert json.loads(info.model_dump_json()) == {
        "execution": {"status": "COMPLETED", "duration_seconds": None}
    }


def test_an_aborted_info_in_json() -> None:
    info = ExecutionInfo(
        execution=AbortedExecutionResult(
            reason=AbortedExecutionReason.FUNCTION_ABORTED, duration_seconds=1.5
        )
    )

    assert json.loads(info.model_dump_json()) == {
        "execution": {
            "status": "ABORTED",
            "reason": "ucam_faas.function-aborted",
            "exception": None,
            "duration_seconds": 1.5,
        }
    }


def test_the_exception_of_an_aborted_info_is_its_traceback_in_json() -> None:
    try:
        raise ValueError("because")
    except ValueError as error:
        info = ExecutionInfo(execution=AbortedExecutionResult(exception=error))

    text = json.loads(info.model_dump_json())["execution"]["exception"]

    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: because\n")
    assert "test_execution_info.py" in text


def test_a_message_handlers_info_in_json() -> None:
    info = in_context(MessageHandlerExecutionInfo)

    assert json.loads(info.model_dump_json()) == {
        "execution": {"status": "COMPLETED", "duration_seconds": None},
        "execution_id": "abc",
        "cloudevents": {
            "event_id": "1",
            "event_source": "//example.com",
            "event_spec_version": "1.0",
            "event_subject": "s",
            "event_type": "t",
            "event_time": "2026-01-31T09:00:00Z",
        },
        "cloud_event_handler": {"input_event_accepted": True},
        "pubsub_message": {
            "type": "type.googleapis.com/google.pubsub.v1.PubsubMessage",
            "data": "+/8=",
            "attributes": {"k": "v"},
            "message_id": "7",
            "publish_time": "2026-01-31T09:00:00Z",
            "ordering_key": "",
        },
        "message_handler": {"input_message_accepted": True},
    }


def test_a_cloud_event_handlers_info_in_json() -> None:
    info = in_context(CloudEventHandlerExecutionInfo)

    assert set(info.model_dump(mode="json")) == {
        "execution",
        "execution_id",
        "cloudevents",
        "cloud_event_handler",
    }


def test_outside_an_execution_an_infos_context_is_empty() -> None:
    info = copy_context().run(MessageHandlerExecutionInfo)

    dump = info.model_dump(mode="json")
    assert dump["execution_id"] is None
    assert dump["cloudevents"] is None
    assert dump["pubsub_message"] is None
    assert dump["cloud_event_handler"] == {"input_event_accepted": False}
    assert dump["message_handler"] == {"input_message_accepted": False}


def test_the_reasons_are_those_of_version_1() -> None:
    assert {reason.value for reason in AbortedExecutionReason} == {
        "ucam_faas.function-aborted",
        "ucam_faas.cloud-event-type-incorrect",
        "ucam_faas.service-data-invalid",
        "ucam_faas.user-data-invalid",
    }
    assert {status.value for status in ExecutionStatus} == {"COMPLETED", "ABORTED"}


def test_a_task_may_have_a_reason_of_its_own() -> None:
    info = ExecutionInfo(execution=AbortedExecutionResult(reason="my.reason"))

    assert info.model_dump(mode="json")["execution"]["reason"] == "my.reason"


def test_a_known_reason_in_words_is_the_reason() -> None:
    result = AbortedExecutionResult(reason="ucam_faas.user-data-invalid")

    assert result.reason == AbortedExecutionReason.USER_DATA_INVALID


def test_extra_fields_are_kept() -> None:
    info = ExecutionInfo(deleted=3, names=["a"], event="x", level="y", message="z")

    assert info.model_dump(mode="json", exclude={"execution"}) == {
        "deleted": 3,
        "names": ["a"],
        "event": "x",
        "level": "y",
        "message": "z",
    }


def test_bytes_in_extra_fields_are_base64() -> None:
    info = ExecutionInfo(blob=b"\xfb\xff")

    assert info.model_dump(mode="json")["blob"] in ("-_8=", "+/8=")


def test_a_subclass_adds_required_fields_and_methods() -> None:
    class CleanUpInfo(MessageHandlerExecutionInfo):
        deleted: int
        kept: int = 0

    info = in_context(lambda: CleanUpInfo(deleted=3))

    dump = info.model_dump(mode="json")
    assert (dump["deleted"], dump["kept"]) == (3, 0)
    assert dump["pubsub_message"]["message_id"] == "7"
    with pytest.raises(ValidationError):
        CleanUpInfo()  # type: ignore[call-arg]


def test_json_brings_an_info_back() -> None:
    sent = ExecutionInfo(execution=AbortedExecutionResult(reason="my.reason"), deleted=3)

    info = ExecutionInfo.model_validate_json(sent.model_dump_json())

    assert info == sent


@pytest.mark.parametrize("result", [CompletedExecutionResult(), AbortedExecutionResult()])
def test_the_duration_is_set_on_a_copy(result: Any) -> None:
    info = MessageHandlerExecutionInfo(execution=result, deleted=3)

    timed = info.with_duration(1.5)

    assert timed.execution.duration_seconds == 1.5
    assert info.execution.duration_seconds is None
    assert type(timed) is type(info)
    assert timed.model_dump()["deleted"] == 3


def test_the_result_is_set_on_a_copy() -> None:
    info = ExecutionInfo()

    copy = info.with_result({"a": 1})

    assert copy.model_dump(mode="json")["result"] == {"a": 1}
    assert "result" not in info.model_dump()


def test_a_cloud_event_is_built_when_it_is_asked_for_and_once() -> None:
    built: list[int] = []

    def build() -> Any:
        built.append(1)
        return make_cloud_event(None)

    context = CloudEventHandlerContext(ATTRIBUTES, build)

    assert built == []
    assert context.cloud_event is context.cloud_event
    assert built == [1]


def test_attributes_are_read_from_a_cloud_event() -> None:
    event = make_cloud_event(None, id="1", type="t", source="s", subject="x")

    attributes = CloudEventAttributes.from_cloud_event(event)

    assert (attributes.event_id, attributes.event_type, attributes.event_source) == ("1", "t", "s")
    assert (attributes.event_subject, attributes.event_spec_version) == ("x", "1.0")
