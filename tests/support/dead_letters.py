"""A book with dead letters: 500 of seven causes, unless a test wants others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.letters import Letter, letter_of
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the first of the letters was published; each later one follows after a minute."""

CAUSES = (
    ("charge", "crashed (attempt 5, the last)", "KeyError at shop.orders.price", "1:aaaa0001"),
    ("charge", "crashed (attempt 5, the last)", "TimeoutError at shop.bank.pay", "1:aaaa0002"),
    ("charge", "amount: greater_than", "amount: greater_than", "1:aaaa0003"),
    ("ship", "crashed (attempt 5, the last)", "KeyError at shop.parcels.weigh", "1:aaaa0004"),
    ("ship", "address.street: missing", "address.street: missing", "1:aaaa0005"),
    ("notify", "no such customer", "", "1:aaaa0006"),
    ("notify", "", "", ""),  # forwarded by Pub/Sub
)
"""Task, reason, error and fingerprint."""


def dead_message(number: int) -> PubsubMessage:
    """Return a dead letter: its cause goes by its number, and 40 % have the first."""
    cause = 0 if number % 5 < 2 else number % len(CAUSES)
    task, reason, error, fingerprint = CAUSES[cause]
    sent = BEGIN + timedelta(minutes=number)
    died = sent + timedelta(seconds=30)
    attributes = {
        "tenant": f"college-{number % 31}",
        "CloudPubSubDeadLetterSourceSubscription": task,
        "CloudPubSubDeadLetterSourceSubscriptionProject": "local",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceTopicPublishTime": sent.isoformat(),
    }
    if reason:
        attributes |= {
            "ucam_faas_task": task,
            "ucam_faas_reason": reason,
            "ucam_faas_message_id": str(10_000 + number),
            "ucam_faas_fingerprint": fingerprint,
            "ucam_faas_error": error,
            "ucam_faas_first_attempt": sent.isoformat(),
            "ucam_faas_last_attempt": died.isoformat(),
        }
    return PubsubMessage(
        data=json.dumps({"order": number, "customer": f"Müller {number}"}).encode(),
        attributes={key: text for key, text in attributes.items() if text},
        message_id=str(number),
        publish_time=died,
    )


def dead_letters(count: int = 500) -> list[Letter]:
    """Return letters, numbered from 0."""
    messages = map(dead_message, range(count))
    return [
        letter_of(message, f"{message.attributes['CloudPubSubDeadLetterSourceSubscription']}-dead")
        for message in messages
    ]


def filled_book(path: Path, count: int = 500) -> Book:
    """Return a new book with letters."""
    book = Book(path)
    book.put(dead_letters(count))
    return book


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench whose book has 500 letters of seven causes; it has no Pub/Sub."""
    bench = Workbench(filled_book(tmp_path / "dead-letters.sqlite3"), by="ada@laptop")
    yield bench
    bench.close()
