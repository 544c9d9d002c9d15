"""Storage that ends with the process."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ucam_faas.emulator.core.storage import Message, Progress


class MemoryStorage:
    """Keeps everything in dictionaries and lists."""

    def __init__(self) -> None:
        self._resources: dict[str, dict[str, bytes]] = defaultdict(dict)
        self._logs: dict[int, list[Message]] = defaultdict(list)
        self._progress: dict[int, Progress] = {}
        self._last = 0

    def resources(self, kind: str) -> dict[str, bytes]:
        """Return all resources of a kind, by name."""
        return dict(self._resources[kind])

    def put(self, kind: str, name: str, value: bytes | None) -> None:
        """Keep a resource; None: forget it."""
        if value is None:
            self._resources[kind].pop(name, None)
        else:
            self._resources[kind][name] = value

    def last_number(self) -> int:
        """Return the number of the last message that was ever appended."""
        return self._last

    def append(self, log: int, messages: Sequence[Message]) -> None:
        """Add messages to the end of a log."""
        self._logs[log].extend(messages)
        self._last = max(self._last, messages[-1].number)

    def read(self, log: int, first: int) -> Iterator[Message]:
        """Go through the messages with numbers from `first` on, in order."""
        messages = self._logs[log]
        start = bisect_left(messages, first, key=_number)
        return (messages[index] for index in range(start, len(messages)))

    def first_since(self, log: int, time: float) -> int | None:
        """Return the number of the first message that was published at `time` or later."""
        return next((message.number for message in self._logs[log] if message.time >= time), None)

    def drop(self, log: int, before: int) -> None:
        """Forget the messages with numbers below `before`."""
        messages = self._logs[log]
        del messages[: bisect_left(messages, before, key=_number)]

    def progress(self, queue: int) -> Progress:
        """Return how far a queue is."""
        kept = self._progress.get(queue, Progress())
        return Progress(kept.floor, set(kept.acked), dict(kept.failures))

    def advance(
        self, queue: int, floor: int, acked: Iterable[int], failures: Mapping[int, int]
    ) -> None:
        """Keep a queue's new floor, and the messages acknowledged or failed since the last call."""
        kept = self._progress.setdefault(queue, Progress())
        kept.failures.update(failures)
        for number in acked:
            kept.acked.add(number)
            kept.failures.pop(number, None)
        if floor > kept.floor:
            passed: Iterable[int] = range(kept.floor, floor)
            if floor - kept.floor > len(kept.acked) + len(kept.failures):
                passed = [n for n in (*kept.acked, *kept.failures) if n < floor]
            kept.floor = floor
            for number in passed:
                kept.acked.discard(number)
                kept.failures.pop(number, None)

    def restart(self, queue: int, progress: Progress) -> None:
        """Replace a queue's progress."""
        self._progress[queue] = Progress(
            progress.floor, set(progress.acked), dict(progress.failures)
        )

    def remove_queue(self, queue: int) -> None:
        """Forget a queue's progress."""
        self._progress.pop(queue, None)

    def commit(self) -> None:
        """Do nothing: nothing lasts."""

    def clear(self) -> None:
        """Forget everything."""
        self._resources.clear()
        self._logs.clear()
        self._progress.clear()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _number(message: Message) -> int:
    return message.number
