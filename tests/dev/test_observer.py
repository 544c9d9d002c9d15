"""Dead letters of tasks as events: what the stream of `ucam-faas dev` is told of them."""

from __future__ import annotations

from typing import Any

from ucam_faas.dev.dead_letters import OwnDeadLetters, waiting
from ucam_faas.emulator.core.storage import Message

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


def told(*events: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return what is told of these events."""
    found: list[tuple[str, dict[str, Any]]] = []
    observer = OwnDeadLetters(lambda event, fields: found.append((event, fields)))
    for event, fields in events:
        observer(event, fields)
    return found


def delivery(event: str, message: Message = ORIGINAL, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event, {"subscription": SUBSCRIPTION, "message": message, "attempt": 5, **fields}


def published(message: Message = LETTER, topic: str = DEAD_TOPIC) -> tuple[str, dict[str, Any]]:
    return "published", {"topic": topic, "message": message}


def test_a_dead_letter_of_a_task_is_told_as_one_that_pubsub_forwards() -> None:
    found = told(delivery("delivered"), published(), delivery("acknowledged"))

    dead = {"subscription": "work", "message": ORIGINAL, "topic": DEAD_TOPIC, "as": LETTER}
    assert found == [delivery("delivered"), ("dead_lettered", dead)]


def test_a_dead_letter_whose_delivery_fails_after_all_is_told_and_so_is_the_failure() -> None:
    """Its task was stopped while it published; Pub/Sub delivers again."""
    events = delivery("delivered"), published(), delivery("failed", status=504)

    assert [event for event, _ in told(*events)] == ["delivered", "dead_lettered", "failed"]


def test_a_delivery_that_is_cancelled_is_forgotten() -> None:
    """Its dead letter, which comes later, is a message like others."""
    events = told(delivery("delivered"), delivery("cancelled"), published())

    assert [event for event, _ in events] == ["delivered", "published"]


def test_the_next_delivery_of_the_message_is_told_whole() -> None:
    again = delivery("delivered"), delivery("acknowledged")
    before = delivery("delivered"), published(), delivery("failed", status=504)

    assert told(*before, *again)[-2:] == list(again)


def test_a_dead_letter_that_is_published_again_is_a_message_like_others() -> None:
    """With its attributes as they were, back to the topic of the task."""
    events = published(topic="projects/p/topics/work"), delivery("delivered", LETTER)

    assert told(*events) == list(events)


def test_other_events_are_told_as_they_are() -> None:
    events = [
        published(Message(1, 0.0, "", {}, b"x")),
        delivery("delivered"),
        delivery("acknowledged"),
        ("scheduled", {"job": "j", "forced": True}),
        ("dead_lettered", {"subscription": SUBSCRIPTION, "message": ORIGINAL}),
    ]

    assert told(*events) == events


def test_dead_letters_that_wait_are_counted_with_a_line_that_shows_them() -> None:
    counts = {"work-dead": 3, "shop-dead": 1}

    assert waiting(counts, "A=b", pubsub="127.0.0.1:8085", project="p") == (
        "4 dead letters are waiting: 3 in work-dead, 1 in shop-dead. "
        "To see them (--auto-ack takes them away):\n\n"
        "  A=b gcloud pubsub subscriptions pull work-dead --limit 10\n\n"
        "  curl http://127.0.0.1:8085/v1/projects/p/subscriptions/work-dead:pull "
        "-d '{\"maxMessages\": 10}'\n\n"
    )


def test_no_dead_letters_are_not_mentioned() -> None:
    assert waiting({}, "A=b", pubsub="", project="p") == ""


def test_there_is_no_curl_line_for_googles_pubsub() -> None:
    assert "curl" not in waiting({"work-dead": 1}, "A=b", pubsub="", project="p")
