"""The messages that a subscription has taken from its log and that aren't acknowledged.

Pure: it is given the time. A message waits, is leased, is delayed after a failure, or is
acknowledged before an earlier one of its ordering key.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import count
from typing import Any

from ucam_faas.emulator.core.lease import AckId, Entry, Holder, Lease, Rules, State
from ucam_faas.emulator.core.lines import Lines
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.storage import Message
from ucam_faas.emulator.core.timers import Timers


class Outstanding:
    """Leases, and how they end: with an answer, with a failure, or with their holder.

    Args:
        number: of the queue, in ack ids and in the storage.
        rules: how it delivers; may be replaced at any time.
        timers: where the ends of leases and backoffs are set; of the subclass.
        first_token: of the leases to come.
    """

    def __init__(self, number: int, rules: Rules, timers: Timers[Any], *, first_token: int) -> None:
        self.number = number
        self.rules = rules
        self.entries: dict[int, Entry] = {}
        """By number, ascending."""
        self._lines = Lines(self.entries)
        self._timers = timers
        self._tokens = count(first_token)
        self._acked: list[int] = []
        self._failed: dict[int, int] = {}

    def _gives_up(self, entry: Entry, now: Moment) -> bool:
        """Return True if a message that failed too often has gone elsewhere."""
        raise NotImplementedError

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

    def close(self) -> None:
        """End every lease and backoff."""
        for entry in self.entries.values():
            self._end_lease(entry)
            entry.state = State.ACKED

    def _current(self, ack_id: AckId) -> Entry | None:
        entry = self.entries.get(ack_id.number)
        if ack_id.queue != self.number or entry is None or entry.state is not State.LEASED:
            return None
        return entry if entry.token == ack_id.token else None

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
        is_last = 0 < self.rules.max_attempts <= entry.failures
        if is_last and self._gives_up(entry, now):  # at the end: it comes again if this fails
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
