"""Fixtures of the tests that use real processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .emulator import Emulator, running_emulator
from .processes import Server, run, serving

collect_ignore = ["tasks"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start `ucam-faas`: options as arguments, environment variables by keyword."""
    numbers = itertools.count()
    with ExitStack() as stack:

        def start(*arguments: str, **environ: Any) -> Server:
            folder = tmp_path / f"process-{next(numbers)}"
            return stack.enter_context(serving(*arguments, folder=folder, **environ))

        yield start


@pytest.fixture
def run_once(tmp_path: Path) -> Callable[..., Server]:
    """Run `ucam-faas` to its end: options as arguments, environment variables by keyword."""
    numbers = itertools.count()

    def start(*arguments: str, **environ: Any) -> Server:
        return run(*arguments, folder=tmp_path / f"process-{next(numbers)}", **environ)

    return start


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Google's Pub/Sub emulator, and the clients of google-cloud-pubsub for it."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator
