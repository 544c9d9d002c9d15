"""The messages of all topics: publishing, dead letters, retention. Pure, like `queues`.

Nothing here starts by itself: the driver calls `tick` when `next_due` says so, calls `save` before
it answers and `answered` after that, and serves the queues in `awake`. Due and changed queues are
kept in tables of their own, so that nothing has to go through all queues.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from ucam_faas.emulator.core.lease import AckId, Holder, Lease, Rules
from ucam_faas.emulator.core.moment import Moment, timestamp
from ucam_faas.emulator.core.observer import Observer
from ucam_faas.emulator.core.queues import Log, Queue
from ucam_faas.emulator.core.storage import Message, Storage
from ucam_faas.emulator.core.timers import Timers

SWEEP_SECONDS = 1.0
"""After this time, messages that all subscriptions have acknowledged are dropped."""
RETENTION_SWEEP_SECONDS = 6 * 3600.0
"""After this time at most, expired messages are dropped. They are never delivered, in any case."""


class Draft(NamedTuple):
    """A message to publish."""

    key: str
    attributes: Mapping[str, str]
    data: bytes


class Engine:
    """All logs and queues.

    Args:
        storage: where they are kept.
        observer: gets the events; default: none does.
    """

    def __init__(self, storage: Storage, observer: Observer | None = None) -> None:
        self.storage = storage
        self.observer = observer or Observer()
        self.logs: dict[int, Log] = {}
        self.topics: dict[str, Log] = {}
        """The logs of existing topics, by full name."""
        self.names: dict[int, str] = {}
        """The subscriptions' full names, by the queues' numbers."""
        self.awake: dict[Queue, None] = {}
        """Queues which may have something new to take."""
        self.timers: Timers[Queue] = Timers()
        self.last = storage.last_number()
        """The number of the last message that was published."""
        self.last_answered = self.last
        """Later messages are not delivered yet: their publishers do not know of them."""
        self._published: dict[Log, None] = {}
        """Logs with messages after the last answered one."""
        self._changed: dict[Queue, None] = {}
        self._stale: dict[Log, None] = {}
        """Logs that may have messages to drop."""
        self._sweep_at: float | None = None
        """When those are swept, in steady seconds."""
        self._retention_sweep_at: float | None = None
        """When all are swept."""

    # -- topics and subscriptions -------------------------------------------------------------

    def open_log(self, number: int) -> Log:
        """Make a log, of no topic yet."""
        log = self.logs[number] = Log(number, self.last)
        return log

    def close_log(self, log: Log) -> None:
        """Drop a log and its messages."""
        del self.logs[log.number]
        self._stale.pop(log, None)
        self.storage.drop(log.number, self.last + 1)

    def open_queue(self, number: int, name: str, log: Log, rules: Rules, now: Moment) -> Queue:
        """Make a queue, where its progress says or else at the end of the log."""
        new = not self.storage.progress(number).floor
        if new:
            self._start(number)
        queue = Queue(
            number,
            log,
            rules,
            self.storage,
            timers=self.timers,
            dead_letter=self._dead_letter,
            now=now,
            new=new,
        )
        log.queues[number] = queue
        self.names[number] = name
        self.awake[queue] = None
        if self._retention_sweep_at is None:
            self._retention_sweep_at = now.steady + RETENTION_SWEEP_SECONDS
        return queue

    def _start(self, number: int) -> None:
        self.storage.advance(number, self.last + 1, (), {})

    def close_queue(self, queue: Queue) -> None:
        """Drop a queue and its progress."""
        queue.close()
        queue.log.queues.pop(queue.number, None)
        self._stale[queue.log] = None
        self.names.pop(queue.number, None)
        self.awake.pop(queue, None)
        self._changed.pop(queue, None)
        self.storage.remove_queue(queue.number)

    # -- messages -----------------------------------------------------------------------------

    def publish(self, topic: str, drafts: Iterable[Draft], now: Moment) -> list[Message]:
        """Append messages to a topic's log, and return them with their numbers."""
        log = self.topics[topic]
        last, time = self.last, now.wall
        messages = [Message(last + i, time, *draft) for i, draft in enumerate(drafts, 1)]
        self.storage.append(log.number, messages)
        self.last = log.last = last + len(messages)
        self._published[log] = None
        self._sweep_soon(log, now)
        self.observer.published(topic, messages)
        return messages

    def answered(self, last: int) -> None:
        """Deliver messages up to this number from now on: their publishers have their ids."""
        self.last_answered = last
        logs, self._published = self._published, {}
        for log in logs:
            for queue in log.queues.values():
                self.awake[queue] = None
            if log.last > last:
                self._published[log] = None

    def take(self, queue: Queue, now: Moment, holder: Holder, limit: int) -> list[Lease]:
        """Lease messages; the queue stays awake as long as there may be more."""
        cursor = queue.cursor
        leases = queue.take(now, holder, limit, self.last_answered)
        if queue.has_more and (leases or queue.cursor != cursor):
            self.awake[queue] = None
        return leases

    def ack(self, queue: Queue, ids: Iterable[AckId], now: Moment) -> list[AckId]:
        """Acknowledge, and return the ids that do not count."""
        self._touch(queue, now)
        name = self.names.get(queue.number)
        if name is None or queue.rules.pushes:
            return queue.ack(ids, now)
        ids = list(ids)
        stale = queue.ack(ids, now)
        self.observer.pulled(name, [each.number for each in ids if each not in stale])
        return stale

    def modify(
        self, queue: Queue, ids: Iterable[AckId], seconds: float, now: Moment
    ) -> list[AckId]:
        """Let leases end later, or now; return the ids that do not count."""
        self._touch(queue, now)
        return queue.modify(ids, seconds, now)

    def release(self, queue: Queue, holder: Holder, numbers: Container[int] | None = None) -> None:
        """Take back messages of a holder that is gone: those of these numbers, or all."""
        queue.release(holder, numbers)
        self.awake[queue] = None

    def lose(self, queue: Queue, holder: Holder, now: Moment) -> None:
        """End the leases of a holder that was lost with its messages."""
        self._touch(queue, now)
        queue.lose(holder, now)
        self.awake[queue] = None

    def seek(self, queue: Queue, cursor: int, unacknowledged: Sequence[int]) -> None:
        """Go back, or on, to a snapshot."""
        queue.restart(cursor, unacknowledged)
        self.awake[queue] = None

    def seek_time(self, queue: Queue, time: float, now: Moment) -> None:
        """Acknowledge all older messages, and deliver the others again if they are still kept."""
        first = self.storage.first_since(queue.log.number, time)
        number = self.last + 1 if first is None else first
        if queue.rules.retain_acked or queue.log.retention:
            queue.restart(number)
        else:
            queue.forget_before(number)
            queue.restart(queue.cursor, queue.unacknowledged())
        self._touch(queue, now)

    def time_of(self, log: Log, number: int) -> float | None:
        """Return when the first message from a number on was published, if there is one."""
        message = next(self.storage.read(log.number, number), None)
        return None if message is None else message.time

    def clear(self) -> None:
        """Forget everything."""
        self.storage.clear()
        for queue in self._queues():
            queue.close()
        for table in (self.logs, self.topics, self.names, self.awake, self._changed):
            table.clear()
        self._published.clear()
        self._stale.clear()
        self._sweep_at = self._retention_sweep_at = None

    def _touch(self, queue: Queue, now: Moment) -> None:
        self._changed[queue] = None
        self.awake[queue] = None  # a line moves on, a failed message is ready, a window opens
        self._sweep_soon(queue.log, now)

    def _dead_letter(self, queue: Queue, message: Message, failures: int, now: Moment) -> bool:
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
        self.observer.dead_lettered(name, message, topic, dead)
        return True

    # -- time ---------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Return when `tick` has something to do, in steady seconds."""
        dues = (self.timers.next_due(), self._sweep_at, self._retention_sweep_at)
        return min((due for due in dues if due is not None), default=None)

    def tick(self, now: Moment) -> None:
        """End due leases and backoffs, and drop messages that are no longer needed."""
        for queue, entry in self.timers.pop(now.steady):
            queue.end(entry, now)
            self._touch(queue, now)
        if self._retention_sweep_at is not None and self._retention_sweep_at <= now.steady:
            self._retention_sweep_at = None
            if self.logs:
                self._retention_sweep_at = now.steady + RETENTION_SWEEP_SECONDS
            self._sweep(list(self.logs.values()), now)
        elif self._sweep_at is not None and self._sweep_at <= now.steady:
            self._sweep(list(self._stale), now)

    def save(self) -> None:
        """Save all changes."""
        for queue in self._changed:
            queue.save()
        self._changed.clear()
        self.storage.commit()

    def _sweep_soon(self, log: Log, now: Moment) -> None:
        self._stale[log] = None
        if self._sweep_at is None:
            self._sweep_at = now.steady + SWEEP_SECONDS

    def _sweep(self, logs: Iterable[Log], now: Moment) -> None:
        self._sweep_at = None
        self._stale.clear()
        for log in logs:
            before = self._first_needed(log, now)
            if before > log.dropped:
                self.storage.drop(log.number, before)
                log.dropped = before

    def _first_needed(self, log: Log, now: Moment) -> int:
        """Forget expired messages, and return the number of the first message that is needed."""
        kept: dict[float, int] = {}

        def oldest_kept(seconds: float) -> int:
            if seconds not in kept:
                first = self.storage.first_since(log.number, now.wall - seconds)
                kept[seconds] = self.last + 1 if first is None else first
            return kept[seconds]

        needed = [self.last + 1, *log.pins.values()]
        if log.retention:
            needed.append(oldest_kept(log.retention))
        for queue in log.queues.values():
            oldest = oldest_kept(queue.retention)
            if queue.floor < oldest:
                queue.forget_before(oldest)
                self._changed[queue] = None
            needed.append(oldest if queue.rules.retain_acked else queue.floor)
        return min(needed)

    def _queues(self) -> list[Queue]:
        return [queue for log in self.logs.values() for queue in log.queues.values()]
