"""Fixtures for users' tests. Importing this costs nothing: every pytest run does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ucam_faas.testing import Client, ManualClock, MemoryPublisher


@pytest.fixture
def ucam_faas_client() -> Iterator[Callable[..., Client]]:
    """Serve tasks without a socket: `client = ucam_faas_client(my_task)`.

    Takes decorated functions, or a source, and the options of `ucam_faas.testing.serve`.
    """
    from ucam_faas.testing import serve

    with ExitStack() as stack:

        def make(*tasks: Any, **options: Any) -> Client:
            return stack.enter_context(serve(*tasks, **options))

        yield make


@pytest.fixture
def ucam_faas_publisher() -> MemoryPublisher:
    """Keep what is published to the topics that are named in its `topics`."""
    from ucam_faas.testing import MemoryPublisher

    return MemoryPublisher()


@pytest.fixture
def ucam_faas_clock() -> ManualClock:
    """Stand still until `advance` is called."""
    from ucam_faas.testing import ManualClock

    return ManualClock()
