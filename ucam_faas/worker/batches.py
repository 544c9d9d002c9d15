"""The messages of a task of batches: they gather until a batch is complete, or has waited."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ucam_faas.clock import Clock, Timer
from ucam_faas.tasks.message_batches import BatchLimits
from ucam_faas.worker.messages import Pulled

_Waiting = tuple[float, Pulled]
"""A message, and the time of its arrival."""


class BatchQueue:
    """Messages that start in batches; see `dispatcher.Queue`.

    A batch may have several messages of an ordering key, in their order. Later messages of the keys
    wait until it ends.

    Args:
        limits: of the batches.
        clock: says how long a message has waited.
        room: returns how many more messages the worker may start before it ends.
        wake: called when a batch has waited for its time.
    """

    def __init__(
        self,
        limits: BatchLimits,
        clock: Clock,
        room: Callable[[], int],
        wake: Callable[[], object],
    ) -> None:
        self.credit = 0
        self._max_messages = limits.max_messages
        self._max_wait_seconds = limits.max_wait.total_seconds()
        self._clock = clock
        self._room = room
        self._wake = wake
        self._waiting: deque[_Waiting] = deque()
        self._keys: dict[str, list[_Waiting]] = {}
        """The later messages of each ordering key that is busy."""
        self._timer: Timer | None = None

    def add(self, messages: Iterable[Pulled]) -> None:
        """Take messages in."""
        now = self._clock.monotonic()
        for pulled in messages:
            self._keys.get(pulled.key, self._waiting).append((now, pulled))
        self._watch()

    @property
    def is_ready(self) -> bool:
        """A batch is complete, or its first message has waited long enough."""
        size = len(self._waiting)
        return size > 0 and (size >= self._most() or self._due_seconds() <= 0)

    def take(self) -> Sequence[Pulled]:
        """Remove the messages of the next batch."""
        size = min(len(self._waiting), self._most())
        batch = [self._waiting.popleft()[1] for _ in range(size)]
        busy: dict[str, list[_Waiting]] = {pulled.key: [] for pulled in batch if pulled.key}
        if busy:
            self._keys.update(busy)
            waiting, self._waiting = self._waiting, deque()
            for each in waiting:
                busy.get(each[1].key, self._waiting).append(each)
        self._watch()
        return batch

    def ended(self, messages: Sequence[Pulled], failed: Sequence[Pulled]) -> Iterable[Pulled]:
        """Let later messages of the keys of a batch start; those of a failed one's key can't."""
        returned = {pulled.key for pulled in failed}
        able: list[_Waiting] = []
        unable: list[Pulled] = []
        for key in {pulled.key for pulled in messages if pulled.key}:
            later = self._keys.pop(key)
            if key in returned:
                unable += [pulled for _, pulled in later]
            else:
                able += later
        if able:  # they may be older than those that wait
            self._waiting = deque(sorted(chain(able, self._waiting), key=lambda each: each[0]))
            self._watch()
        return unable

    def clear(self) -> Iterable[Pulled]:
        """Remove all messages."""
        waiting = [pulled for _, pulled in chain(self._waiting, *self._keys.values())]
        self._waiting.clear()
        for later in self._keys.values():
            later.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return waiting

    def _most(self) -> int:
        return min(self._max_messages, self._room())

    def _due_seconds(self) -> float:
        return self._waiting[0][0] + self._max_wait_seconds - self._clock.monotonic()

    def _watch(self) -> None:
        """Wake when the first message has waited long enough; then it starts as there is room."""
        if self._timer is None and self._waiting and not self.is_ready:
            self._timer = self._clock.call_later(self._due_seconds(), self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.is_ready:
            self._wake()
        else:  # the message that it was set for has started
            self._watch()
