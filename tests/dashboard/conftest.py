"""Dashboards over stores of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import history

from .shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a dashboard with an empty job store, and without a history."""
    shop = Shop(tmp_path)
    yield shop
    shop.close()


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a dashboard with a realistic history; tests don't change it."""
    shop = Shop(tmp_path_factory.mktemp("busy"), history.realistic())
    yield shop
    shop.close()
