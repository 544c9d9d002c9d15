"""Many items at a time: batches for one request, and requests on a few threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import TypeVar

MAX_THREADS = 8
"""Of a call that makes many requests."""
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def each(function: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> list[ResultT]:
    """Call a function with each item, on a few threads, and return the results in order."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(MAX_THREADS, len(items))) as pool:
        return list(pool.map(function, items))


def batches(
    items: Iterable[ItemT],
    most: int,
    most_bytes: float = inf,
    size: Callable[[ItemT], int] = lambda _: 0,
) -> Iterator[list[ItemT]]:
    """Part items into batches.

    Args:
        most: items in a batch.
        most_bytes: in a batch of several items.
        size: returns the bytes of an item.
    """
    batch: list[ItemT] = []
    total = 0
    for item in items:
        if batch and (len(batch) == most or total + size(item) > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch
