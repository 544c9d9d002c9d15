"""Events of `ucam-faas dev`, on their way to its output: dead letters of tasks, another Pub/Sub."""

from __future__ import annotations

from typing import Any

from ucam_faas.dev.history import History
from ucam_faas.dev.observer import SessionObserver
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message

Event = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The name of a method, and its arguments."""
SUBSCRIPTION = "projects/p/subscriptions/work"
DEAD_TOPIC = "projects/p/topics/work-dead-letter"
ORIGINAL = Message(7, 0.0, "", {}, b"x")
LETTER = Message(
    9,
    0.0,
    "",
    {"ucam_faas_message_id": "7", "CloudPubSubDeadLetterSourceSubscription": "work"},
    b"x",
)


def told(*events: Event) -> list[str]:
    """Return the lines that these events show, without their times."""
    lines: list[str] = []
    observer = SessionObserver(Stream(lines.append, colours=False), History())
    for event, arguments, fields in events:
        getattr(observer, event)(*arguments, **fields)
    return [line[14:] for line in lines if not line.endswith("data: x")]


def delivery(event: str, message: Message = ORIGINAL, **fields: Any) -> Event:
    attempt = () if event == "cancelled" else (5,)
    return event, (SUBSCRIPTION, message, *attempt), fields


def published(message: Message = LETTER, topic: str = DEAD_TOPIC) -> Event:
    return "published", (topic, [message]), {}


DELIVERED = delivery("delivered")
ACKNOWLEDGED = delivery("acknowledged", status=200)
FAILED = delivery("failed", status=504, retry_seconds=1.0)
SHOWN_DEAD = "dead      work  message 7 is now message 9 of work-dead-letter"


def test_a_dead_letter_of_a_task_is_told_as_one_that_pubsub_forwards() -> None:
    assert told(DELIVERED, published(), ACKNOWLEDGED)[1:] == [SHOWN_DEAD]


def test_a_dead_letter_whose_delivery_fails_after_all_is_told_and_so_is_the_failure() -> None:
    """Its task was stopped while it published; Pub/Sub delivers again."""
    lines = told(DELIVERED, published(), FAILED)

    assert [line.split()[0] for line in lines] == ["delivered", "dead", "retry"]


def test_a_delivery_that_is_cancelled_is_forgotten() -> None:
    """Its dead letter, which comes later, is a message like others."""
    lines = told(DELIVERED, delivery("cancelled"), published())

    assert [line.split()[0] for line in lines] == ["delivered", "published"]


def test_the_next_delivery_of_the_message_is_told_whole() -> None:
    lines = told(DELIVERED, published(), FAILED, DELIVERED, ACKNOWLEDGED)

    assert lines[-2:] == told(DELIVERED, ACKNOWLEDGED)


def test_a_dead_letter_that_is_published_again_is_a_message_like_others() -> None:
    """With its attributes as they were, back to the topic of the task."""
    lines = told(published(topic="projects/p/topics/work"), delivery("delivered", LETTER))

    assert [line.split()[0] for line in lines] == ["published", "delivered"]


def test_other_events_are_shown_as_they_are() -> None:
    lines = told(
        published(Message(1, 0.0, "", {}, b"x")),
        DELIVERED,
        ACKNOWLEDGED,
        ("scheduled", ("j",), {"forced": True}),
        ("dead_lettered", (SUBSCRIPTION, ORIGINAL, DEAD_TOPIC, LETTER), {}),
        ("task_failed", ("q/tasks/t", 1), {"reason": "no", "retry_seconds": None}),
    )

    shown = ["published", "delivered", "done", "schedule", "dead", "retry"]
    assert [line.split()[0] for line in lines] == shown


def test_messages_for_another_pubsub_are_published_there_and_not_shown() -> None:
    lines: list[str] = []
    forwarded: list[tuple[str, Message]] = []
    observer = SessionObserver(Stream(lines.append, colours=False), History())
    observer.forward(lambda topic, message: forwarded.append((topic, message)))

    observer.published(DEAD_TOPIC, [ORIGINAL, LETTER])

    assert forwarded == [(DEAD_TOPIC, ORIGINAL), (DEAD_TOPIC, LETTER)]
    assert lines == []
