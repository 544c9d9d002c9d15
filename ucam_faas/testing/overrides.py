"""Other dependencies for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def overrides(factories: Mapping[Callable[..., Any], Callable[..., Any]]) -> Iterator[None]:
    """Make the values of dependencies with other factories, in all tasks of this process.

    Args:
        factories: from the factory in `Depends(…)` to the one in its place, which may have
            parameters with markers, and may yield.

    Raises:
        TypeError: one isn't a function.

    >>> from typing import Annotated
    >>> from ucam_faas import Depends, message_handler
    >>> def rate() -> float:
    ...     raise ConnectionError
    >>> @message_handler
    ... def convert(pence: int, rate: Annotated[float, Depends(rate)]) -> float:
    ...     return pence * rate
    >>> from ucam_faas import testing
    >>> with testing.overrides({rate: lambda: 1.5}):
    ...     testing.run(convert, 100).result
    150.0
    """
    from ucam_faas.tasks.injection import overridden  # for tasks with dependencies

    for factory, other in factories.items():
        for value in (factory, other):
            if not callable(value):
                raise TypeError(
                    f"overrides({{{factory!r}: {other!r}}}): expected functions, such as "
                    "{connect: lambda: connection}."
                )
    with overridden(factories):
        yield
