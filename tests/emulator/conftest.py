"""The worlds of the tests of the core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ucam_faas.emulator.core.storage import Storage
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage

from .world import DEAD, TOPIC, World

pytest.register_assert_rewrite("tests.emulator.storage_contract")


@pytest.fixture
def world() -> World:
    return World(topics=(TOPIC, DEAD))


@pytest.fixture(params=["memory", "sqlite"])
def kept_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world in each storage, for tests of restarts."""
    storage: Storage = (
        MemoryStorage() if request.param == "memory" else SqliteStorage(tmp_path / "state")
    )
    world = World(storage, topics=(TOPIC, DEAD))
    yield world
    world.storage.close()
