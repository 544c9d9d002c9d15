"""`limit=Limit(key, n)`: the number of jobs of a key that run at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError


@dataclass(frozen=True, slots=True)
class Limit:
    """So many jobs of a task run at a time, for each key; the others wait, in the order of sending.

    Args:
        key: a function from the payload to the key, as a text or a number; a text: the same for
            all jobs of the task.
        n: the most jobs of a key that run at a time, in all processes.

    Raises:
        TaskDefinitionError: a value can never work.

    >>> Limit("printer")
    Limit(key='printer', n=1)
    """

    key: Callable[[Any], object] | str
    n: int = 1

    def __post_init__(self) -> None:
        if not callable(self.key) and not isinstance(self.key, str):
            raise TaskDefinitionError(
                f"limit: key={self.key!r}: expected a function from the payload to a text or a "
                "number, such as Limit(lambda order: order.account), or a text."
            )
        if type(self.n) is not int or self.n < 1:
            raise TaskDefinitionError(f"limit: n={self.n!r}: expected a whole number, from 1.")


def check_limit(value: Any) -> None:
    """Refuse another value than a Limit."""
    if not isinstance(value, Limit):
        raise TaskDefinitionError(
            f"limit={value!r}: expected a Limit, such as limit=Limit(lambda order: order.account)."
        )
