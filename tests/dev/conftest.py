"""Fixtures of the tests of `ucam-faas dev` and `ucam-faas emulator`, as real processes."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .cloud import Dev, running

collect_ignore = ["tasks"]

StartDev = Callable[..., Dev]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that all tests share which leave it as it is."""
    folder = tmp_path_factory.mktemp("dev")
    (folder / "ucam-faas.toml").write_text('existing_topics = ["audit"]\n')
    with running(folder) as dev:
        yield dev


@pytest.fixture
def start_dev(tmp_path: Path) -> Iterator[StartDev]:
    """Start one of its own: options as arguments, environment variables by keyword.

    `folder=` is its directory; one that was used before holds what was left there.
    """
    numbers = itertools.count()
    with ExitStack() as stack:

        def start(*arguments: str, folder: Path | None = None, **environ: str) -> Dev:
            folder = folder or tmp_path / f"dev-{next(numbers)}"
            return stack.enter_context(running(folder, *arguments, **environ))

        yield start


@pytest.fixture
def gcloud() -> None:
    """Skip a test where there is no gcloud; but not in CI."""
    if shutil.which("gcloud") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("gcloud is not on PATH, and CI=true")
        pytest.skip("gcloud is not on PATH")
