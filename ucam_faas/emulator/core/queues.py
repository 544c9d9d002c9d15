"""One subscription's messages: which wait, are leased, are delayed, are acknowledged.

Pure: it reads messages through the storage port, is given the time, and knows no wire. The messages
that are not acknowledged are in `entries`, or in the topic's log from `cursor` on; so an untouched
backlog takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, takewhile

from ucam_faas.emulator.core.lease import AckId, Entry, Holder, Lease, Rules, State
from ucam_faas.emulator.core.lines import Lines
from ucam_faas.emulator.core.moment import Moment
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


class Queue:
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
        self.number = number
        self.log = log
        self.rules = rules
        self.last_used = now.steady
        self.readers = 0
        """Pulls and streams that wait for its messages: it is in use."""
        self._storage = storage
        self._dead_letter = dead_letter
        # Tokens of before a restart must not look current after it.
        first_token = int(now.wall * 1e6)
        self._tokens = count(first_token)
        self._oldest_token = first_token if new else 0
        progress = storage.progress(number)
        self.cursor = max(progress.floor, 1)
        self._acked_before = progress.acked
        self._failures_before = progress.failures
        self.entries: dict[int, Entry] = {}
        """By number, ascending."""
        self._lines = Lines(self.entries)
        self._timers = timers
        self._acked: list[int] = []
        self._failed: dict[int, int] = {}

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

    def _lease(self, message: Message, entry: Entry, now: Moment, holder: Holder) -> Lease:
        deadline = holder.ack_deadline or self.rules.ack_deadline
        token = entry.token = next(self._tokens)
        entry.state, entry.due, entry.holder = State.LEASED, now.steady + deadline, holder
        self._timers.set(self, entry)
        holder.messages += 1
        holder.bytes += entry.size
        line = self._lines.get(entry.key)
        if line is not None:
            line.take(entry, holder)
        return Lease(message, AckId(self.number, entry.number, token), entry.failures + 1)

    # -- answers of subscribers ----------------------------------------------------------------

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

    def modify(self, ids: Iterable[AckId], seconds: float, now: Moment) -> list[AckId]:
        """Let leases end in `seconds`; 0: now, as a failure. Return the ids that do not count."""
        stale = []
        for ack_id in ids:
            entry = self._current(ack_id)
            if entry is None:
                stale.append(ack_id)
            elif seconds <= 0:
                self._fail(entry, now)
            else:
                entry.due = now.steady + seconds
                self._timers.set(self, entry)
        return stale

    def release(self, holder: Holder, numbers: Container[int] | None = None) -> None:
        """Take back messages of a holder that is gone, without counting a failure.

        Args:
            holder: has them.
            numbers: of the messages; None: all that it has.
        """
        if not holder.messages:
            return
        for entry in [entry for entry in self.entries.values() if entry.holder is holder]:
            is_wanted = numbers is None or entry.number in numbers
            if is_wanted and entry.holder is holder:  # taking one back takes back those behind it
                self._take_back(entry)
                self._lines.settle(entry.key, entry)

    def lose(self, holder: Holder, now: Moment) -> None:
        """End the leases of a holder that was lost, each with a failure."""
        for entry in [entry for entry in self.entries.values() if entry.holder is holder]:
            if entry.holder is holder:  # as above
                self._fail(entry, now)

    def end(self, entry: Entry, now: Moment) -> None:
        """End the lease or the backoff of a message."""
        if entry.state is State.LEASED:
            self._fail(entry, now)
        else:
            entry.state = State.WAITING
            self._lines.settle(entry.key, entry)

    def hurry(self, now: Moment) -> int:
        """End all backoffs, at the next tick, and return how many messages waited for one."""
        delayed = [entry for entry in self.entries.values() if entry.state is State.DELAYED]
        for entry in delayed:
            entry.due = now.steady
            self._timers.set(self, entry)
        return len(delayed)

    def _current(self, ack_id: AckId) -> Entry | None:
        entry = self.entries.get(ack_id.number)
        if ack_id.queue != self.number or entry is None or entry.state is not State.LEASED:
            return None
        return entry if entry.token == ack_id.token else None

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

    def _acknowledge(self, entry: Entry) -> None:
        if self._lines.get(entry.key) is not None and entry.state is State.LEASED:
            self._end_lease(entry)
            self._acked.append(entry.number)
            entry.state = State.ACKED
        else:  # late, in a line: later messages wait for a failed one before it
            self._finish(entry)
        self._lines.settle(entry.key)

    def _finish(self, entry: Entry) -> None:
        """Have done with a message, whatever is before it in its line."""
        self._end_lease(entry)
        self._acked.append(entry.number)
        entry.state = State.ACKED
        del self.entries[entry.number]

    def _fail(self, entry: Entry, now: Moment) -> None:
        entry.failures += 1
        self._failed[entry.number] = entry.failures
        self._take_back(entry)
        delay = self.rules.backoff(entry.failures)
        if delay > 0:
            entry.state, entry.token = State.DELAYED, next(self._tokens)
            entry.due = now.steady + delay
            self._timers.set(self, entry)
        self._lines.settle(entry.key, entry)
        if 0 < self.rules.max_attempts <= entry.failures:  # last: it comes again if this fails
            message = self._read(entry.number)
            if message is None or self._dead_letter(self, message, entry.failures, now):
                self._finish(entry)
                self._lines.settle(entry.key)

    def _take_back(self, entry: Entry) -> None:
        """Let a message wait again, and with it all of its key that come after it."""
        for taken in self._lines.take_back(entry):
            if taken.state is State.ACKED and self.rules.exactly_once:
                self._finish(taken)  # that was confirmed
            else:
                self._end_lease(taken)
                taken.state = State.WAITING

    def _end_lease(self, entry: Entry) -> None:
        holder, entry.holder = entry.holder, None
        if holder is not None:
            holder.messages -= 1
            holder.bytes -= entry.size
            line = self._lines.get(entry.key)
            if line is not None:
                line.leased -= 1

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

    def close(self) -> None:
        """End every lease and backoff."""
        for entry in self.entries.values():
            self._end_lease(entry)
            entry.state = State.ACKED

    def save(self) -> None:
        """Hand the changes since the last call to the storage."""
        self._storage.advance(self.number, self.floor, self._acked, self._failed)
        self._acked, self._failed = [], {}
