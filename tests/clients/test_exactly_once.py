"""Exactly-once delivery with google-cloud-pubsub: acknowledgements that say whether they count."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError, AcknowledgeStatus

from tests.integration.emulator import Emulator

from .conftest import Subscribe

pytestmark = pytest.mark.slow

Receive = Callable[[], Any]


@pytest.fixture
def subscription(pubsub: Emulator, topic: str) -> str:
    return pubsub.subscribe(topic, enable_exactly_once_delivery=True)


@pytest.fixture
def receive(subscription: str, subscribe: Subscribe) -> Receive:
    """Take the next message from a callback."""
    received: SimpleQueue[Any] = SimpleQueue()
    subscribe(subscription, received.put)
    return lambda: received.get(timeout=20)


def test_an_acknowledgement_is_confirmed(pubsub: Emulator, topic: str, receive: Receive) -> None:
    pubsub.publish(topic, b"data")

    message = receive()

    assert message.exactly_once_enabled
    assert message.ack_with_response().result(timeout=20) is AcknowledgeStatus.SUCCESS


def test_a_nack_is_confirmed_and_the_message_comes_again(
    pubsub: Emulator, topic: str, receive: Receive
) -> None:
    message_id = pubsub.publish(topic, b"data")

    assert receive().nack_with_response().result(timeout=20) is AcknowledgeStatus.SUCCESS

    again = receive()
    assert again.message_id == message_id
    assert again.ack_with_response().result(timeout=20) is AcknowledgeStatus.SUCCESS


def test_a_changed_deadline_is_confirmed(pubsub: Emulator, topic: str, receive: Receive) -> None:
    pubsub.publish(topic, b"data")
    message = receive()

    changed = message.modify_ack_deadline_with_response(60)

    assert changed.result(timeout=20) is AcknowledgeStatus.SUCCESS
    assert message.ack_with_response().result(timeout=20) is AcknowledgeStatus.SUCCESS


@pytest.mark.parametrize(
    "operation", ["ack_with_response", "nack_with_response", "modify_ack_deadline_with_response"]
)
def test_what_was_acknowledged_cannot_be_acknowledged_again(
    pubsub: Emulator, topic: str, receive: Receive, operation: str
) -> None:
    pubsub.publish(topic, b"data")
    message = receive()
    message.ack_with_response().result(timeout=20)

    arguments = [30] if operation.startswith("modify") else []
    again = getattr(message, operation)(*arguments)

    with pytest.raises(AcknowledgeError) as error:
        again.result(timeout=20)
    assert error.value.error_code is AcknowledgeStatus.INVALID_ACK_ID


def test_many_acknowledgements_are_all_confirmed(
    pubsub: Emulator, topic: str, receive: Receive
) -> None:
    sent = [pubsub.publisher.publish(topic, b"%d" % n) for n in range(200)]
    for future in sent:
        future.result(timeout=20)

    messages = [receive() for _ in range(200)]
    acknowledged = [message.ack_with_response() for message in messages]

    assert len({message.message_id for message in messages}) == 200
    assert {future.result(timeout=20) for future in acknowledged} == {AcknowledgeStatus.SUCCESS}


def test_without_exactly_once_an_acknowledgement_succeeds_at_once(
    pubsub: Emulator, topic: str, subscribe: Subscribe
) -> None:
    received: SimpleQueue[Any] = SimpleQueue()
    subscribe(pubsub.subscribe(topic), received.put)
    pubsub.publish(topic, b"data")

    message = received.get(timeout=20)

    assert not message.exactly_once_enabled
    assert message.ack_with_response().result(timeout=20) is AcknowledgeStatus.SUCCESS


def test_a_late_unary_acknowledgement_is_refused_with_the_ack_id(
    pubsub: Emulator, topic: str, subscription: str
) -> None:
    """A nack ends the lease: the ack id does not count any more."""
    subscriber = pubsub.subscriber
    pubsub.publish(topic, b"data")
    response = subscriber.pull(subscription=subscription, max_messages=1, timeout=20)
    ack_ids = [response.received_messages[0].ack_id]
    subscriber.modify_ack_deadline(
        subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=0
    )

    with pytest.raises(GoogleAPICallError) as error:
        subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)

    assert dict(error.value.metadata) == {ack_ids[0]: "PERMANENT_FAILURE_INVALID_ACK_ID"}
