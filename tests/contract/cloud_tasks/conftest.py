"""Every case runs over `ucam-faas emulator`: Google has no emulator of Cloud Tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.behaviours import behaviour_of
from tests.contract.pubsub.backends import Backend, PubSub, running_ours
from tests.contract.pubsub.sink import Sink

from .cloud_tasks import PATIENCE, CloudTasks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all as slow: a process runs the emulator."""
    for item in items:
        if "cloud_tasks" in item.path.parts and isinstance(item, pytest.Function):
            assert behaviour_of(item.function), f"{item.name} declares no behaviour"
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The emulator, with the clients of Pub/Sub."""
    with running_ours(tmp_path_factory.mktemp("cloud-tasks")) as backend:
        yield backend


@pytest.fixture
def tasks(backend: Backend) -> Iterator[CloudTasks]:
    """Cloud Tasks, in a project of the test's own, with a queue."""
    tasks_ = CloudTasks(backend.port)
    yield tasks_
    tasks_.close()


@pytest.fixture
def pubsub(backend: Backend) -> Iterator[PubSub]:
    """The Pub/Sub of the same emulator."""
    pubsub_ = PubSub(backend, patience=PATIENCE)
    yield pubsub_
    pubsub_.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An endpoint for requests."""
    with Sink(patience=PATIENCE) as sink:
        yield sink
