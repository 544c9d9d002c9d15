"""Which waiting messages start next: within the tasks' limits, by weight, and in order of a key."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from ucam_faas.serving.runner import Runner
from ucam_faas.worker.messages import Pulled
from ucam_faas.worker.sources import Source


class Queue(Protocol):
    """The messages of one source that wait."""

    credit: int
    """Its lead over the others in the round."""

    def add(self, messages: Iterable[Pulled]) -> None:
        """Take messages in."""

    @property
    def is_ready(self) -> bool:
        """Messages may start."""

    def take(self) -> Sequence[Pulled]:
        """Remove the messages that start now, together."""

    def ended(self, messages: Sequence[Pulled], failed: Sequence[Pulled]) -> Iterable[Pulled]:
        """Note the end of messages that started together.

        Args:
            messages: all of them.
            failed: those that weren't acknowledged.

        Returns:
            later messages of the failed ones' keys, which can't start: Pub/Sub delivers them again.
        """

    def clear(self) -> Iterable[Pulled]:
        """Remove all messages."""


class SingleQueue:
    """Messages that start one by one, and one at a time of a key."""

    __slots__ = ("_keys", "credit", "waiting")

    def __init__(self) -> None:
        self.credit = 0
        self.waiting: deque[Pulled] = deque()
        self._keys: dict[str, deque[Pulled]] = {}
        """The later messages of each ordering key that is busy."""

    def add(self, messages: Iterable[Pulled]) -> None:
        """See `Queue`."""
        for pulled in messages:
            key = pulled.key
            if key and key in self._keys:
                self._keys[key].append(pulled)
                continue
            if key:
                self._keys[key] = deque()
            self.waiting.append(pulled)

    @property
    def is_ready(self) -> bool:
        """See `Queue`."""
        return bool(self.waiting)

    def take(self) -> Sequence[Pulled]:
        """See `Queue`."""
        return (self.waiting.popleft(),)

    def ended(self, messages: Sequence[Pulled], failed: Sequence[Pulled]) -> Iterable[Pulled]:
        """See `Queue`."""
        key = messages[0].key
        if not key:
            return ()
        if failed:
            return self._keys.pop(key)
        if self._keys[key]:
            self.waiting.append(self._keys[key].popleft())
        else:
            del self._keys[key]
        return ()

    def clear(self) -> Iterable[Pulled]:
        """See `Queue`."""
        waiting = list(self.waiting)
        self.waiting.clear()
        for later in self._keys.values():
            waiting += later
            later.clear()
        return waiting


MAX_FAILED_KEYS = 10_000
"""Of which a worker knows that Pub/Sub delivers their messages again."""


class FailedKeys:
    """The ordering keys whose messages were given back, and aren't here again.

    Until Pub/Sub has read that, it may deliver later messages of the key. These are given back,
    too, or they would overtake: it delivers them again after the earlier ones.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[Source, str], set[str]] = {}
        """The ids of the messages that were given back."""

    def add(self, messages: Iterable[Pulled]) -> None:
        """Note messages that are given back."""
        for pulled in messages:
            if pulled.key:
                self._ids.setdefault((pulled.source, pulled.key), set()).add(pulled.id)
        while len(self._ids) > MAX_FAILED_KEYS:  # other workers may have got their messages
            del self._ids[next(iter(self._ids))]

    def overtakes(self, pulled: Pulled) -> bool:
        """Return True if a message comes before those that were given back."""
        place = pulled.source, pulled.key
        ids = self._ids.get(place)
        if ids is None:
            return False
        if pulled.id not in ids:
            return True
        del self._ids[place]
        return False


class Dispatcher:
    """Starts messages as there is room for them.

    Args:
        queues: for the messages of each source.
        runner: has the limits.
        limit: executions of all tasks at a time.
        start: starts messages in one execution; `ended` is called later, not by it.
        give_back: takes messages that can't start, since an earlier one of their key has failed.
    """

    def __init__(
        self,
        queues: Mapping[Source, Queue],
        runner: Runner,
        limit: int,
        start: Callable[[Sequence[Pulled]], object],
        give_back: Callable[[Iterable[Pulled]], object],
    ) -> None:
        self._queues = queues
        self._runner = runner
        self._limit = limit
        self._start = start
        self._give_back = give_back
        self._failed_keys = FailedKeys()
        self.running = 0

    def add(self, source: Source, messages: Sequence[Pulled], *, ordered: bool) -> None:
        """Take messages in."""
        self._queues[source].add(self._in_order(messages) if ordered else messages)

    def _in_order(self, messages: Iterable[Pulled]) -> Sequence[Pulled]:
        """Return the messages that don't overtake others of their keys; give the rest back."""
        able: list[Pulled] = []
        early: list[Pulled] = []
        for pulled in messages:
            pulled.key = pulled.ordering_key
            if self._failed_keys.overtakes(pulled):
                self._failed_keys.add((pulled,))
                early.append(pulled)
            else:
                able.append(pulled)
        self._give_back(early)
        return able

    def dispatch(self) -> None:
        """Start as many messages as there is room for."""
        while self.running < self._limit:
            queue = self._next()
            if queue is None:
                return
            self._start(queue.take())
            self.running += 1

    def ended(self, messages: Sequence[Pulled], failed: Sequence[Pulled]) -> None:
        """Note the end of messages that were started together, some of which may have failed."""
        self.running -= 1
        later = self._queues[messages[0].source].ended(messages, failed)
        if failed:
            self._failed_keys.add((*failed, *later))
        self._give_back(later)

    def clear(self) -> Sequence[Pulled]:
        """Remove the messages that wait, and return them."""
        return [pulled for queue in self._queues.values() for pulled in queue.clear()]

    def _next(self) -> Queue | None:
        """Return the queue whose turn it is: smooth weighted round robin."""
        able = [
            (source, queue)
            for source, queue in self._queues.items()
            if queue.is_ready and self._runner.has_room(source.task, source.lane)
        ]
        if len(able) < 2:
            return able[0][1] if able else None
        for source, queue in able:
            queue.credit += source.weight
        _, first = max(able, key=lambda pair: pair[1].credit)
        first.credit -= sum(source.weight for source, _ in able)
        return first
