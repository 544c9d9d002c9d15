"""One subscription's way through its topic's log: taking messages, acknowledging, moving.

Pure: it reads messages through the storage port, is given the time, and knows no wire. The messages
that are not acknowledged are outstanding, or in the topic's log from `cursor` on; so an untouched
backlog takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from ucam_faas.emulator.core.lease import AckId, Entry, Holder, Lease, Rules, State
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.outstanding import Outstanding
from ucam_faas.emulator.core.storage import Message, Progress, Storage
from ucam_faas.emulator.core.timers import Timers

SCANNED_AT_ONCE = 5_000
"""Messages looked at in one take: a filter that takes none must not hold up other queues."""
NO_HOLDER = Holder()
BYTES_AT_ONCE = 10_000_000
"""Taken in one take, but for one message of any size: a response must fit into memory."""


@dataclass(slots=True, eq=False)
class Log:
    """A topic's messages.

    Args:
        number: of the log itself; a topic that is deleted and made again gets another one.
        last: the number of its last message.
        retention: of acknowledged messages, in seconds.
    """

    number: int
    last: int
    retention: float = 0.0
    queues: dict[int, Queue] = field(default_factory=dict)
    pins: dict[str, int] = field(default_factory=dict)
    """Messages from these numbers on are kept for snapshots, by name."""
    dropped: int = 0
    """Messages before this number are gone."""


class Queue(Outstanding):
    """A subscription's way through its topic's log.

    Args:
        number: of the queue, in ack ids and in the storage.
        log: the topic's.
        rules: how it delivers; may be replaced at any time.
        timers: where the ends of its leases and backoffs are set.
        dead_letter: publishes a message to the dead-letter topic; False: it cannot.
        now: for the first token, and for when it was last used.
        new: no ack id of it exists yet; those that seem to be its own are of an earlier emulator.
    """

    def __init__(
        self,
        number: int,
        log: Log,
        rules: Rules,
        storage: Storage,
        *,
        timers: Timers[Queue],
        dead_letter: Callable[[Queue, Message, int, Moment], bool],
        now: Moment,
        new: bool = False,
    ) -> None:
        # Tokens of before a restart must not look current after it.
        first_token = int(now.wall * 1e6)
        super().__init__(number, rules, timers, first_token=first_token)
        self.log = log
        self.last_used = now.steady
        self.readers = 0
        """Pulls and streams that wait for its messages: it is in use."""
        self._storage = storage
        self._dead_letter = dead_letter
        self._oldest_token = first_token if new else 0
        progress = storage.progress(number)
        self.cursor = max(progress.floor, 1)
        self._acked_before = progress.acked
        self._failures_before = progress.failures

    @property
    def retention(self) -> float:
        """How long messages are delivered, in seconds: a topic may offer them longer."""
        return max(self.rules.retention, self.log.retention)

    @property
    def floor(self) -> int:
        """All messages before this number are acknowledged."""
        return next(iter(self.entries), self.cursor)

    def has_expired(self, now: Moment) -> bool:
        """Return True if it was not used for too long. Waiting for its messages is using it."""
        if self.readers and not self.rules.pushes:
            self.last_used = now.steady
        ttl = self.rules.expires_after
        return ttl is not None and self.last_used + ttl <= now.steady

    @property
    def has_more(self) -> bool:
        """There may be messages to take."""
        return self._lines.has_ready or self.cursor <= self.log.last

    # -- delivering ---------------------------------------------------------------------------

    def take(self, now: Moment, holder: Holder, limit: int, last: int) -> list[Lease]:
        """Lease up to `limit` messages that fit: those to be delivered again come first.

        Args:
            now: the time.
            holder: the one that gets them.
            limit: how many.
            last: the number of the last message that may be delivered.
        """
        self.last_used = now.steady
        leases: list[Lease] = []
        size = 0
        for message, entry in self._candidates(now.wall - self.retention, holder, last):
            leases.append(self._lease(message, entry, now, holder))
            size += entry.size
            if len(leases) >= limit or size >= BYTES_AT_ONCE:
                break
        return leases

    def _candidates(
        self, oldest: float, holder: Holder, last: int
    ) -> Iterator[tuple[Message, Entry]]:
        while (entry := self._lines.peek()) is not None:
            if not holder.has_room():
                return
            self._lines.pop()
            yield from self._run(entry, oldest, holder)
            self._lines.settle(entry.key)
        yield from self._new_candidates(oldest, holder, min(last, self.log.last))

    def _run(self, first: Entry, oldest: float, holder: Holder) -> Iterator[tuple[Message, Entry]]:
        """Go through the messages that can go along with this one: all that wait in its line."""
        line = None if self.rules.pushes else self._lines.get(first.key)
        entry: Entry | None = first
        while entry is not None and entry.state is State.WAITING:
            message = self._read(entry.number)
            if message is None or message.time < oldest:
                self._finish(entry)
            elif holder.has_room():
                yield message, entry
            else:
                return
            entry = None if line is None else line.next()

    def _new_candidates(
        self, oldest: float, holder: Holder, last: int
    ) -> Iterator[tuple[Message, Entry]]:
        if self.cursor > last:
            return
        until = self.cursor + SCANNED_AT_ONCE
        for message in self._storage.read(self.log.number, self.cursor):
            if message.number > last:
                break
            if message.time < oldest or not self._is_wanted(message):
                self.cursor = message.number + 1
                if message.number >= until:
                    return
                continue
            if not holder.has_room():
                return
            entry = Entry(message, self._failures_before.get(message.number, 0))
            if self._enter(entry, holder):
                yield message, entry
            elif message.number >= until:
                return
        self.cursor = last + 1

    def _is_wanted(self, message: Message) -> bool:
        if message.number in self._acked_before:
            self._acked_before.remove(message.number)
            return False
        accepts = self.rules.accepts
        return accepts is None or accepts(message.attributes)

    def _enter(self, entry: Entry, holder: Holder) -> bool:
        """Take a new message in, and into its key's line; return True if it can go now."""
        self.cursor = entry.number + 1
        self.entries[entry.number] = entry
        if not (self.rules.ordered and entry.key):
            entry.key = ""
            return True
        return self._lines.enter(entry, None if self.rules.pushes else holder)

    # -- acknowledging ------------------------------------------------------------------------

    def ack(self, ids: Iterable[AckId], now: Moment) -> list[AckId]:
        """Acknowledge, and return the ids that do not count (with exactly-once delivery)."""
        stale = []
        for ack_id in ids:
            if not self.rules.exactly_once:
                self._acknowledge_late(ack_id)
            elif (entry := self._current(ack_id)) is not None:
                self._acknowledge(entry)
            else:
                stale.append(ack_id)
        self.last_used = now.steady
        return stale

    def _acknowledge_late(self, ack_id: AckId) -> None:
        """Acknowledge by an id that may have expired: late, but done all the same."""
        if ack_id.queue != self.number or ack_id.token < self._oldest_token:
            return
        entry = self.entries.get(ack_id.number)
        if entry is not None:
            if entry.state is not State.ACKED:
                self._acknowledge(entry)
        elif self.cursor <= ack_id.number <= self.log.last:  # from before a restart
            self._acked_before.add(ack_id.number)
            self._acked.append(ack_id.number)

    def _gives_up(self, entry: Entry, now: Moment) -> bool:
        message = self._read(entry.number)
        return message is None or self._dead_letter(self, message, entry.failures, now)

    def _read(self, number: int) -> Message | None:
        message = next(self._storage.read(self.log.number, number), None)
        return message if message is not None and message.number == number else None

    # -- moving -------------------------------------------------------------------------------

    def unacknowledged(self) -> list[int]:
        """Return the numbers before `cursor` that are not acknowledged; all after it are not."""
        self._read_ahead(max(self._acked_before, default=0))
        return [n for n, entry in self.entries.items() if entry.state is not State.ACKED]

    def backlog(self, most: int) -> tuple[int, float | None]:
        """Return the number of messages that aren't acknowledged, and the oldest one's time.

        Args:
            most: how many to look at.
        """
        taken = [n for n, entry in self.entries.items() if entry.state is not State.ACKED]
        number, first = len(taken), self._read(taken[0]) if taken else None
        accepts = self.rules.accepts
        new = islice(self._storage.read(self.log.number, self.cursor), max(most - number, 0))
        for message in new:
            if message.number in self._acked_before:
                continue
            if accepts is None or accepts(message.attributes):
                number, first = number + 1, first or message
        return min(number, most), first.time if first is not None else None

    def _read_ahead(self, last: int) -> None:
        """Move the cursor behind a number, as if all until there had been taken and released."""
        if self.cursor > last:
            return
        for message in self._storage.read(self.log.number, self.cursor):
            if message.number > last:
                break
            if self._is_wanted(message):
                entry = Entry(message, self._failures_before.get(message.number, 0))
                self._enter(entry, NO_HOLDER)
                self._lines.settle(entry.key, entry)
        self.cursor = last + 1

    def forget_before(self, number: int) -> None:
        """Acknowledge all messages before `number`."""
        for old in list(takewhile(lambda n: n < number, self.entries)):
            entry = self.entries.get(old)
            if entry is not None:  # settling a line takes those out that were acknowledged
                self._finish(entry)
                self._lines.settle(entry.key)
        self.cursor = max(self.cursor, number)

    def restart(self, cursor: int, unacknowledged: Sequence[int] = ()) -> None:
        """Deliver these, and all from `cursor` on; every lease ends, and its late answer too."""
        self._oldest_token = next(self._tokens)
        self.close()
        for table in (self.entries, self._lines, self._failed, self._acked):
            table.clear()
        self._failures_before.clear()
        self.cursor = min(unacknowledged, default=cursor)
        behind = takewhile(
            lambda message: message.number < cursor,
            self._storage.read(self.log.number, self.cursor),
        )
        self._acked_before = {message.number for message in behind}.difference(unacknowledged)
        self._storage.restart(self.number, Progress(self.cursor, self._acked_before))

    def save(self) -> None:
        """Hand the changes since the last call to the storage."""
        self._storage.advance(self.number, self.floor, self._acked, self._failed)
        self._acked, self._failed = [], {}
