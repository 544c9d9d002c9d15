"""Fixtures of the tests with Google's own clients, which are used as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from google.cloud import pubsub_v1

from tests.integration.emulator import Emulator

from .endpoint import Endpoint, running_endpoint
from .gcloud import Gcloud
from .sink import Sink, running_sink

collect_ignore = ["node"]

MakePublisher = Callable[..., pubsub_v1.PublisherClient]
Subscribe = Callable[..., Any]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The Pub/Sub under test."""
    with running_endpoint(tmp_path_factory.mktemp("endpoint")) as endpoint_:
        yield endpoint_


@pytest.fixture
def ours_only(endpoint: Endpoint) -> None:
    """Skip features that Google's emulator lacks."""
    if not endpoint.is_ours:
        pytest.skip("Google's emulator does not do this")


@pytest.fixture(scope="session")
def pubsub(endpoint: Endpoint) -> Iterator[Emulator]:
    """Both clients of google-cloud-pubsub, and topics and subscriptions of new names."""
    clients = Emulator(endpoint.host)
    yield clients
    clients.close()


@pytest.fixture
def topic(pubsub: Emulator) -> str:
    """A topic of a new name."""
    return pubsub.create_topic()


@pytest.fixture
def subscription(pubsub: Emulator, topic: str) -> str:
    """A subscription of it, for pulling."""
    return pubsub.subscribe(topic)


@pytest.fixture(scope="module")
def gcloud(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """The command line, with a folder of its own."""
    return Gcloud(endpoint, tmp_path_factory.mktemp("gcloud"))


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An HTTP server that keeps the requests it gets."""
    with running_sink() as sink:
        yield sink


@pytest.fixture
def environ(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say where the Pub/Sub is, as users do."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", endpoint.host)


@pytest.fixture
def make_publisher(environ: None) -> Iterator[MakePublisher]:
    """Make a publisher with options of its own; it is closed at the end."""
    with ExitStack() as stack:

        def make(**options: Any) -> pubsub_v1.PublisherClient:
            publisher = pubsub_v1.PublisherClient(**options)
            stack.callback(publisher.transport.close)
            return publisher

        yield make


@pytest.fixture
def subscribe(environ: None) -> Iterator[Subscribe]:
    """Subscribe with a client of its own: `subscribe(name, callback, **options)` is the future.

    Futures that still run are cancelled at the end.
    """
    with ExitStack() as stack:

        def start(subscription: str, callback: Callable[[Any], Any], **options: Any) -> Any:
            subscriber = pubsub_v1.SubscriberClient()
            stack.callback(subscriber.close)
            future = subscriber.subscribe(subscription, callback, **options)
            stack.callback(_end, future)
            return future

        yield start


def _end(future: Any) -> None:
    future.cancel()
    future.exception(timeout=30)  # waits for the end; tests look at the errors that matter
