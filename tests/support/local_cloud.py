"""A local cloud of a folder, as a running `ucam-faas dev` says that it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ucam_faas import local_state
from ucam_faas.local_state import LocalCloud

RunCloud = Callable[[Path, LocalCloud], None]


@pytest.fixture
def run_cloud() -> Iterator[RunCloud]:
    """Let a folder have a local cloud until the test ends."""
    with ExitStack() as stack:

        def run(folder: Path, cloud: LocalCloud) -> None:
            stack.enter_context(local_state.held(folder))
            local_state.write(folder, cloud)

        yield run
