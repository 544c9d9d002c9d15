"""A trial of ordering keys: messages in batches, of which some fail, on any Pub/Sub."""

from __future__ import annotations

import random
import threading

from ucam_faas import BatchMessage, BatchResult, Retry


class OrderTrial:
    """Runs batches whose messages fail at random, and notes those that succeed.

    Args:
        seed: of the random numbers.
        count: messages, each with its number as its data.
    """

    def __init__(self, seed: int, count: int = 60) -> None:
        self.count = count
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._done: dict[str, list[int]] = {}
        self._batches: list[list[tuple[str, int]]] = []

    def key_of(self, number: int) -> str:
        """Return the ordering key of a message."""
        return f"key-{number % 5}"

    def run(self, batch: list[BatchMessage[bytes]]) -> BatchResult:
        """Let a fifth of the messages fail; the later ones of their keys aren't done, either."""
        failed: dict[BatchMessage[bytes], type[Retry]] = {}
        with self._lock:
            self._batches.append([(each.ordering_key, int(each.payload)) for each in batch])
            for message in batch:
                if message.ordering_key in {each.ordering_key for each in failed}:
                    continue
                if self._random.random() < 0.2:
                    failed[message] = Retry
                else:
                    self._done.setdefault(message.ordering_key, []).append(int(message.payload))
        return BatchResult(failed)

    @property
    def is_done(self) -> bool:
        """All messages have succeeded."""
        with self._lock:
            return len({number for done in self._done.values() for number in done}) == self.count

    def check(self) -> None:
        """Fail unless each key's messages were handled in their order, and none is missing.

        Pub/Sub may deliver a message again that succeeded, with those of its key after it.
        """
        assert sorted(self._done) == sorted({self.key_of(n) for n in range(self.count)})
        for key, numbers in self._done.items():
            wanted = [number for number in range(self.count) if self.key_of(number) == key]
            assert list(dict.fromkeys(numbers)) == wanted, (key, numbers)
        for batch in self._batches:
            for key in {key for key, _ in batch}:
                of_key = [number for its, number in batch if its == key]
                assert of_key == sorted(of_key), batch
