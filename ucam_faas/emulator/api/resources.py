"""Topics, subscriptions, snapshots and schemas by name, kept in the storage."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.queues import Log, Queue
from ucam_faas.emulator.errors import not_found

EXPIRY_SECONDS = 60.0
"""How often to look for expired resources: subscriptions live for a day, snapshots for an hour."""
MOST_COUNTED = 1000
"""Messages of a subscription: counting holds up deliveries."""
ResourceT = TypeVar("ResourceT")


@dataclass(slots=True, eq=False)
class TopicResource:
    """A topic."""

    proto: Any
    log: Log


@dataclass(slots=True, eq=False)
class SubscriptionResource:
    """A subscription. Detached, it has no queue."""

    proto: Any
    queue: Queue | None


@dataclass(slots=True, eq=False)
class SnapshotResource:
    """The messages of a topic's log that a subscription had not acknowledged."""

    proto: Any
    log: Log
    cursor: int
    unacknowledged: tuple[int, ...]

    @property
    def floor(self) -> int:
        """The first message that is needed to go back there."""
        return min(self.unacknowledged, default=self.cursor)


class Resources:
    """All resources, by full name.

    Args:
        engine: holds the messages.
        now: returns the time.
    """

    def __init__(self, engine: Engine, now: Callable[[], Moment]) -> None:
        self.engine = engine
        self.now = now
        self.watchers: list[Callable[[str], None]] = []
        """Called with the name of a subscription that was made, changed or deleted."""
        self.load()

    def load(self) -> None:
        """Read everything from the storage."""
        self.topics: dict[str, TopicResource] = {}
        self.subscriptions: dict[str, SubscriptionResource] = {}
        self.snapshots: dict[str, SnapshotResource] = {}
        self.schemas: dict[str, list[Any]] = {}
        """Each schema's revisions, oldest first."""
        self.policies: dict[str, Any] = {}
        self._expire_at = self.now().steady + EXPIRY_SECONDS
        storage, engine = self.engine.storage, self.engine
        self._last_number = 0
        for name, value in storage.resources("topics").items():
            (number,), proto = _unpack(value, protos.Topic)
            log = engine.topics[name] = self._log(number)
            log.retention = protos.seconds(proto.message_retention_duration)
            self.topics[name] = TopicResource(proto, log)
        for name, value in storage.resources("subscriptions").items():
            (number, log_number), proto = _unpack(value, protos.Subscription)
            queue = None
            if number:
                rules = checks.rules(proto)
                log = self._log(log_number)
                queue = engine.open_queue(number, name, log, rules, self.now())
            self.subscriptions[name] = SubscriptionResource(proto, queue)
            self._last_number = max(self._last_number, number)
        for name, value in storage.resources("snapshots").items():
            (log_number, cursor, *numbers), proto = _unpack(value, protos.Snapshot)
            log = self._log(log_number)
            snapshot = SnapshotResource(proto, log, cursor, tuple(numbers))
            log.pins[name] = snapshot.floor
            self.snapshots[name] = snapshot
        for name, value in storage.resources("schemas").items():
            self.schemas[name] = list(protos.SchemaRevisions.FromString(value).schemas)
        for name, value in storage.resources("policies").items():
            self.policies[name] = protos.Policy.FromString(value)

    def backlogs(self) -> list[dict[str, Any]]:
        """Return how many messages wait in each subscription, and the oldest one's time."""
        rows = []
        for name, subscription in sorted(self.subscriptions.items()):
            if subscription.queue is not None:  # else its topic was deleted
                waiting, since = subscription.queue.backlog(MOST_COUNTED)
                rows.append({"subscription": name, "waiting": waiting, "since": since})
        return rows

    def _log(self, number: int) -> Log:
        self._last_number = max(self._last_number, number)
        return self.engine.logs.get(number) or self.engine.open_log(number)

    def new_number(self) -> int:
        """Return a number for a log or a queue that is not in use."""
        self._last_number += 1
        return self._last_number

    def named(self, name: str, sibling: str, kind: str) -> str:
        """Return the name of a resource to create: a random one if none is given.

        Args:
            name: from the request.
            sibling: a resource in the same project.
            kind: "subscriptions" or "snapshots".

        Raises:
            RpcError: INVALID_ARGUMENT.
        """
        if not name:
            name = f"{'/'.join(sibling.split('/')[:2])}/{kind}/r{uuid.uuid4().hex}"
        return checks.name(name, kind)

    def topic(self, name: str) -> TopicResource:
        """Find a topic.

        Raises:
            RpcError: NOT_FOUND, or INVALID_ARGUMENT if the name is malformed.
        """
        return _find(self.topics, name, "topics")

    def subscription(self, name: str) -> SubscriptionResource:
        """Find a subscription.

        Raises:
            RpcError: NOT_FOUND, or INVALID_ARGUMENT if the name is malformed.
        """
        return _find(self.subscriptions, name, "subscriptions")

    def snapshot(self, name: str) -> SnapshotResource:
        """Find a snapshot that has not expired.

        Raises:
            RpcError: NOT_FOUND, or INVALID_ARGUMENT if the name is malformed.
        """
        return _find(self.snapshots, name, "snapshots")

    def schema(self, name: str) -> list[Any]:
        """Return a schema's revisions, oldest first.

        Raises:
            RpcError: NOT_FOUND, or INVALID_ARGUMENT if the name is malformed.
        """
        return _find(self.schemas, name, "schemas")

    def keep_topic(self, topic: TopicResource) -> None:
        """Put a topic into the storage."""
        self._put("topics", topic.proto, topic.log.number)

    def keep_subscription(self, subscription: SubscriptionResource) -> None:
        """Put a subscription into the storage."""
        queue = subscription.queue
        numbers = (0, 0) if queue is None else (queue.number, queue.log.number)
        self._put("subscriptions", subscription.proto, *numbers)
        self._tell(subscription.proto.name)

    def keep_snapshot(self, snapshot: SnapshotResource) -> None:
        """Put a snapshot into the storage."""
        self._put(
            "snapshots",
            snapshot.proto,
            snapshot.log.number,
            snapshot.cursor,
            *snapshot.unacknowledged,
        )

    def keep_schema(self, name: str, revisions: list[Any]) -> None:
        """Put a schema's revisions into the storage."""
        self.schemas[name] = revisions
        kept = protos.SchemaRevisions(schemas=revisions).SerializeToString()
        self.engine.storage.put("schemas", name, kept)

    def drop_policy(self, name: str) -> None:
        """Drop an IAM policy, if there is one."""
        if self.policies.pop(name, None) is not None:
            self.engine.storage.put("policies", name, None)

    def keep_policy(self, name: str, policy: Any) -> None:
        """Put an IAM policy into the storage."""
        self.policies[name] = policy
        self.engine.storage.put("policies", name, policy.SerializeToString())

    def forget(self, kind: str, name: str) -> None:
        """Drop a resource, and its policy, from the storage and from here."""
        getattr(self, kind).pop(name, None)
        self.engine.storage.put(kind, name, None)
        self.drop_policy(name)

    def close_unused(self, log: Log) -> None:
        """Drop a log that no topic, subscription or snapshot needs."""
        if not log.queues and not log.pins and log not in self.engine.topics.values():
            self.engine.close_log(log)

    def expire(self, now: Moment) -> None:
        """Drop expired subscriptions and snapshots."""
        if now.steady < self._expire_at:
            return
        self._expire_at = now.steady + EXPIRY_SECONDS
        for name, subscription in list(self.subscriptions.items()):
            if subscription.queue is not None and subscription.queue.has_expired(now):
                self.drop_subscription(name)
        for name, snapshot in list(self.snapshots.items()):
            if protos.epoch(snapshot.proto.expire_time) <= now.wall:
                self.drop_snapshot(name)

    def drop_subscription(self, name: str) -> None:
        """Delete a subscription and its queue."""
        queue = self.subscription(name).queue
        self.forget("subscriptions", name)
        if queue is not None:
            self.engine.close_queue(queue)
            self.close_unused(queue.log)
        self._tell(name)

    def _tell(self, subscription: str) -> None:
        for watch in self.watchers:
            watch(subscription)

    def drop_snapshot(self, name: str) -> None:
        """Delete a snapshot."""
        log = self.snapshot(name).log
        self.forget("snapshots", name)
        log.pins.pop(name, None)
        self.close_unused(log)

    def _put(self, kind: str, proto: Any, *numbers: int) -> None:
        head = " ".join(map(str, numbers)).encode()
        self.engine.storage.put(kind, proto.name, head + b"\n" + proto.SerializeToString())


def _find(table: Mapping[str, ResourceT], name: str, kind: str) -> ResourceT:
    if name not in table:
        raise not_found(checks.name(name, kind))
    return table[name]


def _unpack(value: bytes, kind: Any) -> tuple[list[int], Any]:
    head, _, body = value.partition(b"\n")
    return [int(number) for number in head.split()], kind.FromString(body)
