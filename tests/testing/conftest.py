"""Google's clients, for tests with the embedded Pub/Sub: made after it, and closed before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from google.cloud import pubsub_v1

from ucam_faas.local_testing import EmbeddedPubsub

Subscribe = Callable[..., Any]


@pytest.fixture
def publisher(ucam_faas_pubsub: EmbeddedPubsub) -> Iterator[pubsub_v1.PublisherClient]:
    """Publish as users do: the client finds the Pub/Sub in the environment."""
    client = pubsub_v1.PublisherClient(
        publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    )
    yield client
    client.stop()
    client.transport.close()


@pytest.fixture
def subscribe(ucam_faas_pubsub: EmbeddedPubsub) -> Iterator[Subscribe]:
    """Subscribe with a callback: `future = subscribe(subscription, callback)`."""
    with ExitStack() as stack:
        client = pubsub_v1.SubscriberClient()
        stack.callback(client.close)

        def start(subscription: str, callback: Callable[[Any], Any], **options: Any) -> Any:
            future = client.subscribe(subscription, callback, **options)
            stack.callback(_end, future)
            return future

        yield start


def _end(future: Any) -> None:
    future.cancel()
    future.exception(timeout=30)  # waits for the end
