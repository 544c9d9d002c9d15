"""A book with dead letters: 500 of seven causes, unless a test wants others."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.clock import Clock
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.letters import Letter, letter_of
from ucam_faas.dead_letters.source import Received, SourceError, Subscription
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.testing import ManualClock

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the first of the letters was published; each later one follows after a minute."""

CAUSES = (
    ("charge", "crashed (attempt 5, the last)", "KeyError at shop.orders.price", "1:aaaa0001"),
    ("charge", "crashed (attempt 5, the last)", "TimeoutError at shop.bank.pay", "1:aaaa0002"),
    ("charge", "amount: greater_than", "invalid_payload: amount: greater_than", "1:aaaa0003"),
    ("ship", "crashed (attempt 5, the last)", "KeyError at shop.parcels.weigh", "1:aaaa0004"),
    ("ship", "address.street: missing", "invalid_payload: address.street: missing", "1:aaaa0005"),
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


@pytest.fixture(scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a closed book with 500 letters, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "dead-letters.sqlite3"
    filled_book(path).close()
    return path


@pytest.fixture
def workbench(tmp_path: Path, _filled: Path) -> Iterator[Workbench]:
    """A workbench whose book has 500 letters of seven causes; it has no Pub/Sub."""
    bench = Workbench(Book(Path(shutil.copy(_filled, tmp_path))), by="ada@laptop")
    yield bench
    bench.close()


@dataclass
class _Kept:
    message: PubsubMessage
    free_at: float = 0.0
    ack_id: str = ""


class MemoryPubsub:
    """A `Source` in memory: leases end by a clock. It passes the contract of the port."""

    project = "local"
    name = "memory"
    pauses: tuple[float, ...] = (0.1, 0.5)
    prefix = ""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.subscribed: dict[str, Subscription] = {}
        self.kept: dict[str, list[_Kept]] = {}
        self._ids = itertools.count(1)

    def subscribe(self, name: str, topic: str, **fields: Any) -> None:
        """Create a subscription; the topic is a short name."""
        full = f"projects/{self.project}/topics/{topic}"
        self.subscribed[name] = Subscription(name=name, topic=full, **fields)
        self.kept[name] = []

    def publish(self, topic: str, *messages: PubsubMessage) -> None:
        """Publish to all subscriptions of a topic; a message keeps its id if it has one."""
        for name, subscription in self.subscribed.items():
            if subscription.topic.endswith(f"/{topic}"):
                self.kept[name] += [_Kept(self._numbered(message)) for message in messages]

    def _numbered(self, message: PubsubMessage) -> PubsubMessage:
        if message.message_id:
            return message
        fields = {"message_id": f"m{next(self._ids)}", "publish_time": self.clock.now()}
        return message.model_copy(update=fields)

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions."""
        return list(self.subscribed.values())

    def pull(self, subscription: str) -> list[Received]:
        """Return some messages, and lease them for ten seconds."""
        if subscription not in self.kept:
            raise SourceError(f"{subscription}: NOT_FOUND: nothing", status=404)
        free = [kept for kept in self.kept[subscription] if kept.free_at <= self._now()][:100]
        for kept in free:
            kept.free_at, kept.ack_id = self._now() + 10, f"a{next(self._ids)}"
        return [Received(kept.ack_id, kept.message) for kept in free]

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        """Extend leases; those that have ended stay so."""
        for kept in self._leased(subscription, ack_ids):
            kept.free_at = self._now() + seconds

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Remove messages whose leases haven't ended."""
        for kept in self._leased(subscription, ack_ids):
            self.kept[subscription].remove(kept)

    def ids(self, subscription: str) -> list[str]:
        """Return the ids of a subscription's messages."""
        return [kept.message.message_id or "" for kept in self.kept[subscription]]

    def _leased(self, subscription: str, ack_ids: Sequence[str]) -> list[_Kept]:
        wanted = set(ack_ids)
        return [
            kept
            for kept in self.kept[subscription]
            if kept.ack_id in wanted and kept.free_at > self._now()
        ]

    def _now(self) -> float:
        return self.clock.monotonic()
