"""Which messages of a queue can go now: those without a key, and the head of each key's line.

Pure. The messages of an ordering key are delivered in publish order; a failed one comes again with
all later ones of its key.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ucam_faas.emulator.core.lease import Entry, Holder, State


@dataclass(slots=True, eq=False)
class Line:
    """The messages of one ordering key that are not acknowledged, in publish order.

    A failed message moves from the end of `taken` to the start of `waiting`, with all that come
    after it: a message is moved once for each of its leases, whatever the order of the failures.
    """

    taken: deque[Entry] = field(default_factory=deque)
    """Leased or acknowledged; all are before those that wait."""
    waiting: deque[Entry] = field(default_factory=deque)
    """At most the first is delayed. Acknowledged ones are gone, but for their place here."""
    leased: int = 0
    holder: Holder | None = None
    """Holds the leased ones, and alone may have the next ones."""

    def next(self) -> Entry | None:
        """Return the first one behind those that are taken."""
        waiting = self.waiting
        while waiting and waiting[0].state is State.ACKED:
            waiting.popleft()
        return waiting[0] if waiting else None

    def take(self, entry: Entry, holder: Holder) -> None:
        """Lease the next one."""
        assert self.next() is entry
        self.taken.append(self.waiting.popleft())
        self.leased += 1
        self.holder = holder

    def take_back(self, entry: Entry) -> list[Entry]:
        """Let a taken one wait, and all that come after it; return those that were taken."""
        first = self.next()
        if first is not None:
            first.state = State.WAITING  # a delay is over: it goes with those before it
        back = []
        while self.taken and self.taken[-1].number >= entry.number:
            back.append(self.taken.pop())
        self.waiting.extendleft(back)
        return back

    def pop_done(self) -> Iterator[Entry]:
        """Forget the acknowledged ones that come before all others, and return them."""
        while self.taken and self.taken[0].state is State.ACKED:
            yield self.taken.popleft()


class Lines:
    """The lines of all keys, and the messages to be delivered again.

    Args:
        entries: the queue's, by number; acknowledged ones are taken out when their line allows it.
    """

    def __init__(self, entries: dict[int, Entry]) -> None:
        self._entries = entries
        self._lines: dict[str, Line] = {}
        self._ready: list[int] = []

    def get(self, key: str) -> Line | None:
        """Return the line of a key; None if there is no message in it, or the key is empty."""
        return self._lines.get(key)

    @property
    def has_ready(self) -> bool:
        """`peek` may return a message."""
        return bool(self._ready)

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._ready.clear()

    def peek(self) -> Entry | None:
        """Return the first message that is ready."""
        while self._ready:
            entry = self._entries.get(self._ready[0])
            if entry is not None and self._is_next(entry):
                return entry
            heapq.heappop(self._ready)
        return None

    def pop(self) -> None:
        """Take out the message that `peek` returned."""
        heapq.heappop(self._ready)

    def _is_next(self, entry: Entry) -> bool:
        """Return True if a message that was ready still is."""
        if entry.state is not State.WAITING:
            return False
        line = self._lines.get(entry.key)
        return line is None or (line.leased == 0 and line.next() is entry)

    def enter(self, entry: Entry, holder: Holder | None) -> bool:
        """Put a new message at the end of its key's line; return True if it can go now.

        Args:
            entry: with a key.
            holder: takes messages, and may have several of a key at a time; None: one at a time.
        """
        line = self._lines.get(entry.key)
        if line is None:
            line = self._lines[entry.key] = Line()
            can_go = True
        else:
            is_holders = holder is not None and line.holder is holder and line.leased > 0
            can_go = is_holders and line.next() is None
        line.waiting.append(entry)
        return can_go

    def take_back(self, entry: Entry) -> list[Entry]:
        """Let a taken message wait, and all of its key that come after it; return all of them."""
        line = self._lines.get(entry.key)
        return [entry] if line is None else line.take_back(entry)

    def settle(self, key: str, entry: Entry | None = None) -> None:
        """Make messages ready that can go now: the head of a key's line, or one without a key."""
        line = self._lines.get(key)
        if line is not None:
            for done in line.pop_done():
                self._entries.pop(done.number, None)
            entry = line.next()
            if not line.taken and entry is None:
                del self._lines[key]
            if line.leased:
                return
        if entry is not None and entry.state is State.WAITING:
            heapq.heappush(self._ready, entry.number)
