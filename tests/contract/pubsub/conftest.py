"""Every case runs over both sides; where a side is declared to differ, it must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import GoogleAPICallError

from tests.contract.behaviours import behaviour_of

from .backends import PATIENCE, SHORT_PATIENCE, Backend, PubSub, running_google, running_ours
from .sink import Sink


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make two tests of each case."""
    if "side" not in metafunc.fixturenames:
        return
    behaviour = behaviour_of(metafunc.function)
    assert behaviour is not None, f"{metafunc.function.__name__} declares no behaviour"
    sides = []
    for side in ("ours", "google"):
        marks = [pytest.mark.slow]
        difference = behaviour.difference(side)
        if difference is not None and not behaviour.observed:
            failures = (AssertionError, GoogleAPICallError)
            marks.append(pytest.mark.xfail(reason=difference, raises=failures, strict=True))
        sides.append(pytest.param(side, marks=marks))
    metafunc.parametrize("side", sides)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_ours(tmp_path_factory.mktemp("ours")) as backend:
        yield backend


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_google(tmp_path_factory.mktemp("google")) as backend:
        yield backend


@pytest.fixture
def pubsub(request: pytest.FixtureRequest, side: str) -> Iterator[PubSub]:
    """One side, in a project of the test's own."""
    case = behaviour_of(request.function)
    differs = case is not None and case.difference(side) is not None and not case.observed
    patience = SHORT_PATIENCE if differs else PATIENCE
    pubsub_ = PubSub(request.getfixturevalue(side), patience=patience)
    yield pubsub_
    pubsub_.close()


@pytest.fixture
def sink(pubsub: PubSub) -> Iterator[Sink]:
    """An endpoint for pushes."""
    with Sink(patience=pubsub.patience) as sink:
        yield sink
