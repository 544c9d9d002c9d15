"""The messages of all topics: publishing, dead letters, retention. Pure, like `queues`.

Nothing here starts by itself: who drives it calls `tick` when `next_due` says so, serves the
queues in `awake`, and calls `save` before it answers for what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ucam_faas.emulator.lease import AckId, Delivery, Holder, Rules
from ucam_faas.emulator.queues import Log, Queue
from ucam_faas.emulator.storage import Message, Storage

SWEEP_SECONDS = 1.0
"""After this time, what everybody has acknowledged is dropped."""
RETENTION_SWEEP_SECONDS = 6 * 3600.0
"""After this time at most, what is too old is dropped. It is never delivered, in any case."""


class Draft(NamedTuple):
    """A message to publish."""

    key: str
    attributes: Mapping[str, str]
    data: bytes


Observer = Callable[[str, dict[str, Any]], None]
"""Told what happens: an event's name and its fields."""


class Engine:
    """All logs and queues.

    Args:
        storage: where they are kept.
        observer: is told of every message that is published, fails or is dead-lettered.
    """

    def __init__(self, storage: Storage, observer: Observer | None = None) -> None:
        self.storage = storage
        self.observer = observer
        self.logs: dict[int, Log] = {}
        self.topics: dict[str, Log] = {}
        """The logs of topics that are there, by full name."""
        self.names: dict[int, str] = {}
        """Of the queues: the subscriptions' full names."""
        self.awake: dict[Queue, None] = {}
        """Queues which may have something new to take."""
        self._last = storage.last_number()
        self._changed: dict[Queue, None] = {}
        self._sweep_at: float | None = None

    # -- topics and subscriptions -------------------------------------------------------------

    def open_log(self, number: int) -> Log:
        """Make a log, of no topic yet."""
        log = self.logs[number] = Log(number, self._last)
        return log

    def close_log(self, log: Log) -> None:
        """Drop a log and its messages."""
        del self.logs[log.number]
        self.storage.drop(log.number, self._last + 1)

    def open_queue(self, number: int, name: str, log: Log, rules: Rules, now: float) -> Queue:
        """Make a queue, where its progress says or else at the end of the log."""
        new = not self.storage.progress(number).floor
        if new:
            self._start(number)
        queue = Queue(
            number, log, rules, self.storage, dead_letter=self._dead_letter, now=now, new=new
        )
        log.queues[number] = queue
        self.names[number] = name
        self.awake[queue] = None
        self._sweep_by(now + RETENTION_SWEEP_SECONDS)
        return queue

    def _start(self, number: int) -> None:
        self.storage.advance(number, self._last + 1, (), {})

    def close_queue(self, queue: Queue) -> None:
        """Drop a queue and its progress."""
        queue.log.queues.pop(queue.number, None)
        self.names.pop(queue.number, None)
        self.awake.pop(queue, None)
        self._changed.pop(queue, None)
        self.storage.remove_queue(queue.number)

    # -- messages -----------------------------------------------------------------------------

    def publish(self, topic: str, drafts: Iterable[Draft], now: float) -> list[Message]:
        """Append messages to a topic's log, and return them with their numbers."""
        log = self.topics[topic]
        last = self._last
        messages = [Message(last + i, now, *draft) for i, draft in enumerate(drafts, 1)]
        self.storage.append(log.number, messages)
        self._last = log.last = last + len(messages)
        for queue in log.queues.values():
            self.awake[queue] = None
        self._sweep_by(now + SWEEP_SECONDS)
        if self.observer is not None:
            for message in messages:
                self.observer("published", {"topic": topic, "message": message})
        return messages

    def take(self, queue: Queue, now: float, holder: Holder, limit: int) -> list[Delivery]:
        """Lease messages; the queue stays awake as long as there may be more."""
        cursor = queue.cursor
        found = queue.take(now, holder, limit)
        if queue.has_more and (found or queue.cursor != cursor):
            self.awake[queue] = None
        return found

    def ack(self, queue: Queue, ids: Iterable[AckId], now: float) -> list[AckId]:
        """Acknowledge, and return the ids that do not count."""
        self._touch(queue, now)
        return queue.ack(ids, now)

    def modify(self, queue: Queue, ids: Iterable[AckId], seconds: float, now: float) -> list[AckId]:
        """Let leases end later, or now; return the ids that do not count."""
        self._touch(queue, now)
        return queue.modify(ids, seconds, now)

    def release(self, queue: Queue, holder: Holder) -> None:
        """Take back what somebody holds who is gone."""
        queue.release(holder)
        self.awake[queue] = None

    def seek(self, queue: Queue, cursor: int, unacknowledged: Sequence[int]) -> None:
        """Go back, or on, to what a snapshot remembers."""
        queue.restart(cursor, unacknowledged)
        self.awake[queue] = None

    def seek_time(self, queue: Queue, time: float, now: float) -> None:
        """Acknowledge all that is older, and deliver again what is not and is still kept."""
        first = self.storage.first_since(queue.log.number, time)
        number = self._last + 1 if first is None else first
        if queue.rules.retain_acked or queue.log.retention:
            queue.restart(number)
        else:
            queue.forget_before(number)
        self._touch(queue, now)

    def time_of(self, log: Log, number: int) -> float | None:
        """Return when the first message from a number on was published, if there is one."""
        message = next(self.storage.read(log.number, number), None)
        return None if message is None else message.time

    def clear(self) -> None:
        """Forget everything."""
        self.storage.clear()
        for table in (self.logs, self.topics, self.names, self.awake, self._changed):
            table.clear()
        self._sweep_at = None

    def _touch(self, queue: Queue, now: float) -> None:
        self._changed[queue] = None
        self.awake[queue] = None  # a line moves on, a failed message is ready, a window opens
        self._sweep_by(now + SWEEP_SECONDS)

    def _dead_letter(self, queue: Queue, message: Message, failures: int, now: float) -> bool:
        topic = queue.rules.dead_letter_topic
        if topic not in self.topics:
            return False
        name = self.names[queue.number]
        attributes = {
            **message.attributes,
            "CloudPubSubDeadLetterSourceDeliveryCount": str(failures),
            "CloudPubSubDeadLetterSourceSubscription": name.rpartition("/")[2],
            "CloudPubSubDeadLetterSourceSubscriptionProject": name.split("/")[1],
            "CloudPubSubDeadLetterSourceTopicPublishTime": timestamp(message.time),
        }
        draft = Draft(message.key, attributes, message.data)
        (dead,) = self.publish(topic, [draft], now)
        if self.observer is not None:
            fields = {"subscription": name, "message": message, "topic": topic, "as": dead}
            self.observer("dead_lettered", fields)
        return True

    # -- time ---------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Return when `tick` has something to do, in epoch seconds."""
        dues = [due for queue in self._queues() if (due := queue.next_due()) is not None]
        if self._sweep_at is not None:
            dues.append(self._sweep_at)
        return min(dues, default=None)

    def tick(self, now: float) -> None:
        """Do what is due: end leases and backoffs, drop what nobody needs."""
        for queue in self._queues():
            if queue.tick(now):
                self._touch(queue, now)
        if self._sweep_at is not None and self._sweep_at <= now:
            self._sweep(now)

    def save(self) -> None:
        """Make everything that was done last."""
        for queue in self._changed:
            queue.save()
        self._changed.clear()
        self.storage.commit()

    def retain(self, log: Log, seconds: float, now: float) -> int:
        """Return the number of the oldest message that is kept for so long."""
        first = self.storage.first_since(log.number, now - seconds)
        return self._last + 1 if first is None else first

    def _sweep_by(self, time: float) -> None:
        self._sweep_at = time if self._sweep_at is None else min(self._sweep_at, time)

    def _sweep(self, now: float) -> None:
        self._sweep_at = None
        for log in self.logs.values():
            needed = [self._last + 1, *log.pins.values()]
            if log.retention:
                needed.append(self.retain(log, log.retention, now))
            for queue in log.queues.values():
                oldest = self.retain(log, queue.retention, now)
                if queue.floor < oldest:
                    queue.forget_before(oldest)
                    self._changed[queue] = None
                needed.append(oldest if queue.rules.retain_acked else queue.floor)
            before = min(needed)
            if before > log.dropped:
                self.storage.drop(log.number, before)
                log.dropped = before
        if self.logs:
            self._sweep_by(now + RETENTION_SWEEP_SECONDS)

    def _queues(self) -> list[Queue]:
        return [queue for log in self.logs.values() for queue in log.queues.values()]


def timestamp(time: float) -> str:
    """Return an instant as Google's JSON has it: RFC 3339, in UTC."""
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
