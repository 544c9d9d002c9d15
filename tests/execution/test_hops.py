"""The loop guard: after a chain of too many sends, a message is dead-lettered, and a job fails."""

from __future__ import annotations

from typing import Any

import pytest

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.outcomes import DeadLettered, Done
from ucam_faas.testing import (
    JobsFactory,
    ManualClock,
    MemoryPublisher,
    conclude,
    make_message,
)

TOPIC = "projects/p/topics/dead"
HOPS = "ucam_faas_hops"


@ucam_faas.message_handler
def ping(number: int) -> None:
    """Send to pong."""
    pong.send(number + 1)


@ucam_faas.message_handler
def pong(number: int) -> None:
    """Send to ping."""
    ping.send(number + 1)


@ucam_faas.message_handler(topic="echo")
def echo(data: bytes) -> None:
    """Publish to its own topic."""
    echo.publish(data)


@ucam_faas.message_handler(message_type=None)
def forward(data: bytes) -> None:
    """Publish with the attributes of its own message."""
    message = ucam_faas.MESSAGE_CONTEXT.get().pubsub_message
    echo.publish(data, attributes=message.attributes)


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher({TOPIC: [], "projects/p/topics/echo": []})


def runtime_of(publisher: MemoryPublisher, **settings: Any) -> Runtime:
    made = Settings(project="p", dead_letter_topic=TOPIC, **settings)
    return Runtime(made, ManualClock(), publisher)


def published(publisher: MemoryPublisher) -> PubsubMessage:
    (message,) = publisher.topics["projects/p/topics/echo"]
    return message


def test_two_tasks_that_send_to_each_other_end_with_their_chain(
    ucam_faas_jobs: JobsFactory,
) -> None:
    jobs = ucam_faas_jobs(ping, pong)

    ping.send(0)
    jobs.run_all()

    rows = jobs.store.find("default", limit=100)
    (failed,) = [row for row in rows if row.state is not ucam_faas.State.SUCCESS]
    assert len(rows) == 34  # the first, 32 sends, and the one over the limit
    assert failed.state is ucam_faas.State.FAILURE
    assert failed.attempts == 1
    assert failed.error is not None
    text = failed.error["message"]
    assert text.startswith("a chain of 33 sends and publishes, over UCAM_FAAS_MAX_HOPS=32: ")
    assert text.endswith("ping > pong > ping")


def test_a_send_from_outside_begins_a_chain(ucam_faas_jobs: JobsFactory) -> None:
    jobs = ucam_faas_jobs(ping, pong, settings=Settings(max_hops=1))

    job = ping.send(0)
    jobs.run_all()

    assert job.status is ucam_faas.State.SUCCESS
    assert "hops" not in jobs.store.get(job.key).options  # type: ignore[union-attr]


def test_a_retry_by_hand_fails_again(
    ucam_faas_jobs: JobsFactory,
) -> None:
    """The chain is the job's."""
    jobs = ucam_faas_jobs(ping, pong, settings=Settings(max_hops=1))
    ping.send(0)
    jobs.run_all()
    (key,) = [r.key for r in jobs.store.find("default") if r.state is ucam_faas.State.FAILURE]

    ucam_faas.get_job(ping, key.id).retry()
    jobs.run_all()

    assert ucam_faas.get_job(ping, key.id).status is ucam_faas.State.FAILURE


def test_a_publish_from_a_task_carries_the_chain(publisher: MemoryPublisher) -> None:
    message = make_message(b"x", attributes={HOPS: "2 a>b"})

    conclusion = conclude(echo, message, runtime=runtime_of(publisher))

    assert isinstance(conclusion.outcome, Done)
    assert published(publisher).attributes == {HOPS: "3 a>b>echo"}


def test_forwarded_attributes_do_not_keep_the_old_chain(publisher: MemoryPublisher) -> None:
    message = make_message(b"x", attributes={HOPS: "1 a", "kind": "order"})

    conclude(forward, message, runtime=runtime_of(publisher))

    assert published(publisher).attributes == {HOPS: "2 a>forward", "kind": "order"}


def test_a_message_over_the_limit_is_dead_lettered_with_its_chain(
    publisher: MemoryPublisher,
) -> None:
    here = runtime_of(publisher, max_hops=2)
    message = make_message(b"x", attributes={HOPS: "3 a>b>a"})

    conclusion = conclude(echo, message, runtime=here)

    assert isinstance(conclusion.outcome, DeadLettered)
    (letter,) = publisher.topics[TOPIC]
    reason = letter.attributes["ucam_faas_reason"]
    assert reason == "a chain of 3 sends and publishes, over UCAM_FAAS_MAX_HOPS=2: a > b > a"
    assert HOPS not in letter.attributes, "its readers would refuse it"


def test_a_task_that_publishes_to_itself_ends_with_a_dead_letter(
    publisher: MemoryPublisher,
) -> None:
    here = runtime_of(publisher)
    topic = publisher.topics["projects/p/topics/echo"]
    outcomes = [conclude(echo, make_message(b"x"), runtime=here).outcome]

    while topic:
        outcomes.append(conclude(echo, topic.pop(), runtime=here).outcome)

    (letter,) = publisher.topics[TOPIC]
    assert [type(each) for each in outcomes] == [Done] * 33 + [DeadLettered]
    assert letter.attributes["ucam_faas_reason"] == (
        "a chain of 33 sends and publishes, over UCAM_FAAS_MAX_HOPS=32: "
        + " > ".join(["echo"] * 33)
    )


@pytest.mark.parametrize("text", ["", "x", "33", "-1 a", "9999999999999 a", "٣٣ a"])
def test_an_attribute_of_others_does_no_harm(publisher: MemoryPublisher, text: str) -> None:
    message = make_message(b"x", attributes={HOPS: text})

    conclusion = conclude(echo, message, runtime=runtime_of(publisher, max_hops=33))

    assert isinstance(conclusion.outcome, Done)


def test_a_long_chain_keeps_its_length_and_its_last_tasks(publisher: MemoryPublisher) -> None:
    names = ">".join(f"task-{number}" for number in range(200))
    message = make_message(b"x", attributes={HOPS: f"200 {names}"[:1000]})

    conclude(echo, message, runtime=runtime_of(publisher, max_hops=1000))

    text = published(publisher).attributes[HOPS]
    assert text.startswith("201 task-")
    assert text.endswith(">echo")
    assert len(text) <= 404


def test_a_message_with_all_its_attributes_is_published_without_the_chain(
    publisher: MemoryPublisher,
) -> None:
    attributes = {f"a{number}": "x" for number in range(100)}

    conclude(forward, make_message(b"x", attributes=attributes), runtime=runtime_of(publisher))

    assert published(publisher).attributes == attributes


def test_a_publish_outside_of_tasks_has_no_chain(publisher: MemoryPublisher) -> None:
    token = CURRENT.set(runtime_of(publisher))

    echo.publish(b"x")

    CURRENT.reset(token)
    assert published(publisher).attributes == {}
