"""The messages that wait in the subscriptions of `ucam-faas dev`."""

from __future__ import annotations

import pytest

from ucam_faas.actions.queues import QueueRequestError, queues
from ucam_faas.net.rest import Rest

from .cloud import Dev

pytestmark = pytest.mark.slow


def test_each_subscription_tells_how_many_messages_wait(dev: Dev) -> None:
    before = {
        queue.subscription.rpartition("/")[2]
        for queue in queues(Rest(f"127.0.0.1:{dev.rest.port}"))
    }

    assert {"clean_up", "clean_up-dead-letter"} <= before


def test_a_pubsub_that_cannot_tell_is_an_error() -> None:
    with pytest.raises(QueueRequestError, match=r"127.0.0.1:9 doesn't tell its queues"):
        queues(Rest("127.0.0.1:9"))
