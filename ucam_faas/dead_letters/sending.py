"""Sending a batch of letters: in one call to each topic, and in some requests at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ucam_faas.dead_letters.plans import Row
from ucam_faas.dead_letters.targets import Replay, Result, Target, Targets, To

PUSHED = 8
"""The most requests to endpoints at a time."""
MAX_BYTES = 7_000_000
"""Of the data in one call: Pub/Sub takes 10 MB, with the data in base64."""
STEP_SECONDS = 1.0
"""How often the caller is called while requests are under way."""


class Sender:
    """Sends letters.

    Args:
        targets: send them.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._pool: ThreadPoolExecutor | None = None

    def send(
        self, replays: Mapping[Row, Replay], meanwhile: Callable[[], object]
    ) -> dict[Row, Result]:
        """Send letters, and return the result of each.

        Args:
            replays: no two of them have one lane.
            meanwhile: called now and then until all have ended.
        """
        results: dict[Row, Result] = {}
        pushes: dict[Row, Future[list[Result]]] = {}
        for target, some in _calls(replays):
            if target.to is To.PUSH:
                for row in some:
                    pushes[row] = self._threads().submit(self._targets.send, target, [some[row]])
            else:
                answers = self._targets.send(target, list(some.values()))
                results |= zip(some, answers, strict=True)
                meanwhile()
        while wait(pushes.values(), STEP_SECONDS).not_done:
            meanwhile()
        return results | {row: future.result()[0] for row, future in pushes.items()}

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(PUSHED, thread_name_prefix="ucam-faas-replay")
        return self._pool

    def close(self) -> None:
        """Begin no more requests."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _calls(replays: Mapping[Row, Replay]) -> Iterator[tuple[Target, dict[Row, Replay]]]:
    """Yield the letters of each target, as many as one call takes."""
    by_target: dict[Target, dict[Row, Replay]] = {}
    for row, replay in replays.items():
        by_target.setdefault(row.target, {})[row] = replay
    for target, all_ in by_target.items():
        some: dict[Row, Replay] = {}
        size = 0
        for row, replay in all_.items():
            bytes_ = len(replay.content.data)
            if some and size + bytes_ > MAX_BYTES:
                yield target, some
                some, size = {}, 0
            some[row] = replay
            size += bytes_
        yield target, some
