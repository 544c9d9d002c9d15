"""A dead letter is published before its message is acknowledged; else Pub/Sub keeps the message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from tests.support.log import Log
from ucam_faas import (
    DeadLetter,
    Ignore,
    Retry,
    RetryPolicy,
    UCAMFAASException,
    message_handler,
    outcomes,
)
from ucam_faas.config import Settings
from ucam_faas.events.envelopes import decode
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import PublishError
from ucam_faas.execution import attempts, pipeline
from ucam_faas.execution.dead_letters import ADDED_ATTRIBUTES, GOOGLE_PREFIX
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import DeadLettered, TimedOut
from ucam_faas.publishing import Publisher
from ucam_faas.testing import (
    ManualClock,
    MemoryPublisher,
    conclude,
    make_cloud_event,
    make_message,
    make_push,
)

from .stopping import stop

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOPIC = "projects/p/topics/dead"
OWN_TOPIC = "projects/p/topics/own"
SUBSCRIPTION = "projects/q/subscriptions/s"


class User(BaseModel):
    name: str


class Letters:
    """A runtime with a dead-letter topic, and the messages on the topic."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher({TOPIC: [], OWN_TOPIC: []})
        self.clock = ManualClock()
        self.runtime = runtime(self.publisher, clock=self.clock)

    def __call__(self, topic: str = TOPIC) -> list[PubsubMessage]:
        return self.publisher.topics[topic]

    def handle(self, task: Any, message: PubsubMessage, **options: Any) -> Conclusion:
        push = make_push(message, subscription=SUBSCRIPTION, **options)
        envelope = decode(push.body, {name.lower(): text for name, text in push.headers.items()})
        return execute(Execution(task.task, envelope, self.runtime))


def runtime(
    publisher: Publisher | None, topic: str | None = TOPIC, clock: ManualClock | None = None
) -> Runtime:
    return Runtime(Settings(dead_letter_topic=topic), clock or ManualClock(), publisher)


@pytest.fixture
def letters() -> Letters:
    return Letters()


class FailingPublisher:
    """A publisher that raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def publish(
        self,
        topic: str,
        data: bytes,
        attributes: Mapping[str, str],
        *,
        ordering_key: str = "",
        timeout_seconds: float = 10.0,
    ) -> str:
        raise self.error


@message_handler(message_type=None)
def give_up(data: bytes) -> None:
    raise DeadLetter("too old")


@message_handler(message_type=None)
async def give_up_async(data: bytes) -> None:
    await asyncio.sleep(0)
    raise DeadLetter("too old")


@message_handler(message_type=User)
def greet(user: User) -> None:
    pass


@pytest.mark.parametrize("task", [give_up, give_up_async])
def test_a_dead_letter_is_the_message_with_its_reason(task: Any, letters: Letters) -> None:
    message = make_message(b"\x00hi", attributes={"k": "v"}, ordering_key="o", message_id="m7")

    conclusion = letters.handle(task, message)

    assert isinstance(conclusion.outcome, DeadLettered)
    assert conclusion.outcome.reason == "too old"
    (letter,) = letters()
    assert (letter.data, letter.ordering_key) == (b"\x00hi", "o")
    assert letter.attributes["k"] == "v"
    assert letter.attributes["ucam_faas_reason"] == "too old"
    assert letter.attributes["ucam_faas_task"] == task.__name__
    assert letter.attributes["ucam_faas_message_id"] == "m7"


def test_a_dead_letter_says_where_it_comes_from_in_googles_names(letters: Letters) -> None:
    time = datetime(2026, 1, 31, 9, tzinfo=UTC)

    letters.handle(give_up, make_message(publish_time=time), delivery_attempt=5)

    (letter,) = letters()
    source = {name: text for name, text in letter.attributes.items() if name.startswith("Cloud")}
    published = source.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert datetime.fromisoformat(published) == time
    assert source == {
        "CloudPubSubDeadLetterSourceSubscription": "s",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "q",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }


def test_unknown_attributes_of_the_source_are_left_out(letters: Letters) -> None:
    envelope = decode(b'{"message": {"data": "aGk="}, "subscription": "odd"}', {})

    execute(Execution(give_up.task, envelope, letters.runtime))

    (letter,) = letters()
    assert set(letter.attributes) == {
        *("ucam_faas_reason", "ucam_faas_task", "ucam_faas_fingerprint", "ucam_faas_error"),
        "ucam_faas_last_attempt",
    }


def test_nothing_of_an_earlier_dead_letter_is_left(letters: Letters) -> None:
    letters.handle(give_up, make_message(message_id="m7"), delivery_attempt=1)
    (earlier,) = letters()

    letters.handle(failing(), earlier, delivery_attempt=5)

    _, letter = letters()
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert letter.attributes["ucam_faas_reason"] == "ValueError (attempt 5, the last)"
    assert letter.attributes["ucam_faas_message_id"] == earlier.message_id
    assert "ucam_faas_first_attempt" not in letter.attributes


def test_attributes_of_google_are_dropped_but_for_the_trace(letters: Letters) -> None:
    trace = {"googclient_traceparent": TRACEPARENT, "googclient_tracestate": "a=b"}
    own = {"good": "kept", "Google-Id": "17"}  # which doesn't begin with goog
    attributes = {"googclient_schemaencoding": "JSON", "googx": "x", **own, **trace}

    letters.handle(give_up, make_message(attributes=attributes))

    (letter,) = letters()
    kept = {name: text for name, text in letter.attributes.items() if name in attributes}
    assert kept == own | trace


@pytest.mark.parametrize("count", [95, 99, 100])
def test_a_dead_letter_has_a_hundred_attributes_at_most(count: int, letters: Letters) -> None:
    attributes = {f"key-{number}": "v" for number in range(count)}

    conclusion = letters.handle(give_up, make_message(attributes=attributes), delivery_attempt=5)

    assert isinstance(conclusion.outcome, DeadLettered)
    (letter,) = letters()
    assert len(letter.attributes) == 100
    assert attributes.items() <= letter.attributes.items()


def test_where_one_attribute_is_left_it_is_the_reason(letters: Letters) -> None:
    attributes = {f"key-{number}": "v" for number in range(99)}

    letters.handle(give_up, make_message(attributes=attributes))

    assert letters()[0].attributes["ucam_faas_reason"] == "too old"


def test_dropped_attributes_make_room(letters: Letters) -> None:
    attributes = {f"key-{number}": "v" for number in range(99)} | {"googclient_x": "v"}

    letters.handle(give_up, make_message(attributes=attributes))

    assert letters()[0].attributes["ucam_faas_reason"] == "too old"


REASONS = st.text(max_size=600) | st.text("é€😀", min_size=200, max_size=600)


@settings(max_examples=50, deadline=None)
@given(reason=REASONS)
def test_any_reason_fits_into_an_attribute(reason: str) -> None:
    letters = Letters()

    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        raise DeadLetter(reason)

    conclusion = letters.handle(task, make_message())

    assert isinstance(conclusion.outcome, DeadLettered)
    (letter,) = letters()
    assert len(letter.attributes["ucam_faas_reason"].encode()) <= 1024


@pytest.mark.parametrize("reason", [ValueError("because"), 5, "bad \udce9"], ids=ascii)
def test_an_odd_reason_is_no_hindrance(reason: Any, letters: Letters) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        raise DeadLetter(reason)

    conclusion = letters.handle(task, make_message())

    assert isinstance(conclusion.outcome, DeadLettered)
    assert len(letters()) == 1


def test_a_payload_that_is_rejected_goes_to_the_topic_at_once(letters: Letters) -> None:
    conclusion = letters.handle(greet, make_message(b'{"name": ["secret"]}'))

    assert isinstance(conclusion.outcome, DeadLettered)
    (letter,) = letters()
    assert letter.data == b'{"name": ["secret"]}'
    assert letter.attributes["ucam_faas_reason"] == "name: string_type"


def test_an_empty_message_that_is_rejected_goes_to_the_topic(letters: Letters) -> None:
    conclusion = letters.handle(greet, make_message(b""))

    assert isinstance(conclusion.outcome, DeadLettered)
    assert letters()[0].data == b""


def test_an_outcome_of_a_parser_goes_to_the_topic(letters: Letters) -> None:
    def parse(data: bytes) -> bytes:
        raise DeadLetter("not for us")

    @message_handler(message_type=parse)
    def task(data: bytes) -> None: ...

    conclusion = letters.handle(task, make_message())

    assert isinstance(conclusion.outcome, DeadLettered)


def test_an_event_without_a_message_cannot_be_kept_and_is_not_acknowledged(
    letters: Letters,
) -> None:
    conclusion = conclude(greet, make_cloud_event({}, type="other"), runtime=letters.runtime)

    assert not outcomes.answer(conclusion.outcome).acknowledges
    assert letters() == []


@pytest.mark.parametrize(
    "outcome", [Retry(), Ignore("x"), UCAMFAASException("x"), ValueError("x")], ids=repr
)
def test_nothing_else_goes_to_the_topic(outcome: Exception, letters: Letters) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        raise outcome

    letters.handle(task, make_message())

    assert letters() == []


def test_without_a_topic_a_dead_letter_is_not_acknowledged() -> None:
    conclusion = conclude(give_up, runtime=runtime(MemoryPublisher(), topic=None))

    assert isinstance(conclusion.outcome, DeadLetter)
    assert not outcomes.answer(conclusion.outcome).acknowledges


def test_without_a_publisher_a_dead_letter_is_not_acknowledged() -> None:
    conclusion = conclude(give_up, runtime=runtime(None))

    assert isinstance(conclusion.outcome, DeadLetter)


def test_without_a_topic_a_rejected_payload_stays_rejected() -> None:
    conclusion = conclude(greet, b"junk")

    assert isinstance(conclusion.outcome, outcomes.InvalidPayload)


@pytest.mark.parametrize("task", [give_up, give_up_async, greet])
@pytest.mark.parametrize(
    "error", [PublishError("down"), RuntimeError("broken"), TimeoutError()], ids=repr
)
def test_when_publishing_fails_the_outcome_stays_as_it_was(
    task: Any, error: Exception, log: Log
) -> None:
    conclusion = conclude(task, b"junk", runtime=runtime(FailingPublisher(error)))

    assert type(conclusion.outcome) in (DeadLetter, outcomes.InvalidPayload)
    assert not outcomes.answer(conclusion.outcome).acknowledges
    assert "ucam_faas_dead_letter_failed" in [line["message"] for line in log.lines]


def test_a_topic_that_does_not_exist_is_a_failure_to_publish(log: Log) -> None:
    conclusion = conclude(give_up, runtime=runtime(MemoryPublisher()))

    assert isinstance(conclusion.outcome, DeadLetter)


def test_a_tasks_own_topic_comes_first(letters: Letters) -> None:
    @message_handler(message_type=None, dead_letter_topic=OWN_TOPIC)
    def task(data: bytes) -> None:
        raise DeadLetter("x")

    letters.handle(task, make_message())

    assert (len(letters(OWN_TOPIC)), len(letters(TOPIC))) == (1, 0)


def test_a_dead_letter_is_published_once(letters: Letters) -> None:
    letters.handle(give_up, make_message())
    letters.handle(give_up, make_message())

    assert len(letters()) == 2


def test_a_function_that_was_stopped_publishes_nothing(letters: Letters) -> None:
    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        stop(execution, outcomes.TimedOut())
        raise DeadLetter("late")

    execution = Execution(task.task, decode(make_push(b"hi").body, {}), letters.runtime)

    assert pipeline.run(execution) is None
    assert letters() == []


def test_a_dead_letter_has_the_fingerprint_of_its_failure(letters: Letters) -> None:
    for reason in ("order 17", "order 18"):
        letters.handle(give_up_with(reason), make_message())

    (first, other) = letters()
    assert first.attributes["ucam_faas_fingerprint"] == other.attributes["ucam_faas_fingerprint"]
    place = f"{__name__}.give_up_with.<locals>.task"
    assert first.attributes["ucam_faas_error"] == f"DeadLetter at {place}"


def give_up_with(reason: str) -> Any:
    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        raise DeadLetter(reason)

    return task


def test_a_rejected_payload_is_known_by_path_and_kind(letters: Letters) -> None:
    letters.handle(greet, make_message(b'{"name": ["secret"]}'))

    assert letters()[0].attributes["ucam_faas_error"] == "invalid_payload: name: string_type"


def test_a_dead_letter_has_the_times_of_its_first_and_last_attempts(letters: Letters) -> None:
    begin, clock, task = letters.clock.now(), letters.clock, failing()

    for attempt in range(1, 6):
        letters.handle(task, make_message(message_id="m7"), delivery_attempt=attempt)
        clock.advance(timedelta(minutes=1))

    (letter,) = letters()
    assert letter.attributes["ucam_faas_first_attempt"] == begin.isoformat(timespec="milliseconds")
    last = datetime.fromisoformat(letter.attributes["ucam_faas_last_attempt"])
    assert last == begin + timedelta(minutes=4)


def failing() -> Any:
    @message_handler(message_type=None, retry=RetryPolicy(max_attempts=5))
    def task(data: bytes) -> None:
        raise ValueError

    return task


def test_a_first_attempt_that_timed_out_is_known(letters: Letters) -> None:
    message = make_message(message_id="m7")
    push = make_push(message, subscription=SUBSCRIPTION, delivery_attempt=1)
    timed_out = Execution(failing().task, decode(push.body, {}), letters.runtime)
    assert timed_out.claim()

    pipeline.stopped(timed_out, TimedOut())
    letters.handle(failing(), message, delivery_attempt=5)

    assert "ucam_faas_first_attempt" in letters()[0].attributes


def test_the_first_attempt_is_left_out_where_another_process_had_it(letters: Letters) -> None:
    letters.handle(failing(), make_message(message_id="other"), delivery_attempt=1)
    letters.handle(failing(), make_message(message_id="m7"), delivery_attempt=5)

    assert "ucam_faas_first_attempt" not in letters()[0].attributes


def test_a_dead_letter_at_the_first_attempt_has_the_same_time_twice(letters: Letters) -> None:
    letters.handle(give_up, make_message(), delivery_attempt=1)

    attributes = letters()[0].attributes
    assert attributes["ucam_faas_first_attempt"] == attributes["ucam_faas_last_attempt"]


def test_so_many_first_attempts_are_remembered(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_REMEMBERED", 2)
    for message_id in "abc":
        letters.handle(failing(), make_message(message_id=message_id), delivery_attempt=1)

    for message_id in "abc":
        letters.handle(failing(), make_message(message_id=message_id), delivery_attempt=5)

    known = ["ucam_faas_first_attempt" in letter.attributes for letter in letters()]
    assert known == [False, True, True]


def test_the_attributes_that_the_package_adds_are_listed(letters: Letters) -> None:
    letters.handle(give_up, make_message(message_id="m7"), delivery_attempt=1)

    added = {name for name in letters()[0].attributes if not name.startswith(GOOGLE_PREFIX)}
    assert added == set(ADDED_ATTRIBUTES)


class OddError(Exception):
    """An error that can't be looked at."""

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise RuntimeError("no")


def test_an_odd_exception_is_dead_lettered_all_the_same(letters: Letters) -> None:
    @message_handler(message_type=None, retry=RetryPolicy(max_attempts=1))
    def task(data: bytes) -> None:
        raise OddError

    conclusion = letters.handle(task, make_message(), delivery_attempt=1)

    assert isinstance(conclusion.outcome, DeadLettered)
    assert letters()[0].attributes["ucam_faas_error"] == "crashed"
