"""Functions that decide the wait before a job's next attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ucam_faas.exceptions import TaskDefinitionError

Backoff = Callable[[int], float | timedelta]
"""From the number of failures so far, from 1, to the wait: in seconds, or as a timedelta."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """See `exponential`."""

    min_backoff: float
    max_backoff: float
    multiplier: float
    max_exponent: int

    def __call__(self, failures: int) -> float:
        """Return the wait in seconds after a number of failures."""
        wait = self.multiplier * 2.0 ** min(failures, self.max_exponent)
        return max(self.min_backoff, min(self.max_backoff, wait))


def exponential(
    *,
    min_backoff: float = 60,
    max_backoff: float = 86400,
    multiplier: float = 5,
    max_exponent: int = 15,
) -> Exponential:
    """Return a backoff that doubles: `multiplier * 2 ** failures` seconds.

    Args:
        min_backoff: the shortest wait, in seconds.
        max_backoff: the longest wait, in seconds.
        multiplier: half of the first wait, in seconds.
        max_exponent: after this number of failures the wait no longer grows.

    Raises:
        TaskDefinitionError: a value is negative, or the shortest wait is over the longest.

    >>> [exponential()(failures) for failures in (1, 4, 5, 20)]
    [60, 80.0, 160.0, 86400]
    """
    made = Exponential(min_backoff, max_backoff, multiplier, max_exponent)
    for name in Exponential.__slots__:
        value = getattr(made, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise TaskDefinitionError(
                f"exponential({name}={value!r}): expected a number, in seconds, of 0 or more."
            )
    if min_backoff > max_backoff or max_exponent > 60:
        raise TaskDefinitionError(
            f"{made!r}: expected a min_backoff of at most max_backoff, and a max_exponent of at "
            "most 60."
        )
    return made
