"""Which waiting message starts next: within the tasks' limits, by weight, and in order of a key."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ucam_faas.serving.runner import Runner
from ucam_faas.worker.messages import Pulled
from ucam_faas.worker.sources import Source


class _Queue:
    """The messages of one source that wait."""

    __slots__ = ("credit", "keys", "source", "waiting")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.waiting: deque[Pulled] = deque()
        self.credit = 0
        self.keys: dict[str, deque[Pulled]] = {}
        """The later messages of each ordering key that is busy."""

    def has_room(self, runner: Runner) -> bool:
        return runner.has_room(self.source.task, self.source.lane)


class Dispatcher:
    """Starts messages as there is room for them.

    Args:
        sources: where they come from.
        runner: has the limits.
        limit: messages of all tasks that may run at a time.
        start: starts a message; `ended` is called later, not by it.
        give_back: takes messages that can't start, since an earlier one of their key has failed.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        runner: Runner,
        limit: int,
        start: Callable[[Pulled], object],
        give_back: Callable[[Iterable[Pulled]], object],
    ) -> None:
        self._queues = {source: _Queue(source) for source in sources}
        self._runner = runner
        self._limit = limit
        self._start = start
        self._give_back = give_back
        self.running = 0

    def add(self, source: Source, messages: Iterable[Pulled], *, ordered: bool) -> None:
        """Take messages in."""
        queue = self._queues[source]
        for pulled in messages:
            key = pulled.ordering_key if ordered else ""
            if key and key in queue.keys:
                queue.keys[key].append(pulled)
                continue
            if key:
                queue.keys[key] = deque()
            queue.waiting.append(pulled)

    def dispatch(self) -> None:
        """Start as many messages as there is room for."""
        while self.running < self._limit:
            queue = self._next()
            if queue is None:
                return
            self.running += 1
            pulled = queue.waiting.popleft()
            pulled.is_started = True
            self._start(pulled)

    def ended(self, pulled: Pulled, *, acknowledged: bool) -> None:
        """Note the end of a message that was started."""
        queue = self._queues[pulled.source]
        self.running -= 1
        key = pulled.ordering_key
        if not key or key not in queue.keys:
            return
        later = queue.keys[key]
        if not acknowledged:  # Pub/Sub delivers it and those after it again
            del queue.keys[key]
            self._give_back(later)
        elif later:
            queue.waiting.append(later.popleft())
        else:
            del queue.keys[key]

    def clear(self) -> Sequence[Pulled]:
        """Remove the messages that wait, and return them."""
        waiting: list[Pulled] = []
        for queue in self._queues.values():
            waiting += queue.waiting
            queue.waiting.clear()
            for later in queue.keys.values():
                waiting += later
                later.clear()
        return waiting

    def _next(self) -> _Queue | None:
        """Return the queue whose turn it is: smooth weighted round robin."""
        able = [
            queue
            for queue in self._queues.values()
            if queue.waiting and queue.has_room(self._runner)
        ]
        if len(able) < 2:
            return able[0] if able else None
        for queue in able:
            queue.credit += queue.source.weight
        first = max(able, key=lambda queue: queue.credit)
        first.credit -= sum(queue.source.weight for queue in able)
        return first
