"""Dead letters: counting attempts, and forwarding messages that were tried too often."""

from __future__ import annotations

from typing import Any

from tests.contract.behaviours import Group
from tests.integration.processes import wait_until

from .backends import PubSub, data_of
from .sink import Sink
from .streams import Stream

dead_letters = Group("Dead letters")

PREFIX = "CloudPubSubDeadLetterSource"


class Source:
    """A subscription with a dead-letter topic, and a subscription to that."""

    def __init__(self, pubsub: PubSub, attempts: int = 5, **fields: Any) -> None:
        self.pubsub = pubsub
        self.dead_topic, self.dead = pubsub.subscribed_topic()
        policy = {"dead_letter_topic": self.dead_topic, "max_delivery_attempts": attempts}
        self.topic, self.subscription = pubsub.subscribed_topic(dead_letter_policy=policy, **fields)

    def publish(self, **fields: Any) -> str:
        """Publish a message, and return its id."""
        return self.pubsub.publish(self.topic, {"data": b"x", **fields})[0]

    def nack(self, times: int) -> list[int]:
        """Nack the message so often, and return its delivery attempts."""
        attempts = []
        for _ in range(times):
            (received,) = self.pubsub.pull(self.subscription)
            attempts.append(received.delivery_attempt)
            self.pubsub.modify(self.subscription, 0, received)
        return attempts

    def dead_letter(self) -> Any:
        """Return the dead letter, while a subscriber of the source asks for more."""

        def find() -> list[Any]:
            assert self.pubsub.pull_now(self.subscription) == []
            return self.pubsub.pull_now(self.dead)

        return wait_until(find, "the dead letter", 5)[0].message


@dead_letters(
    "A message that was nacked as often as allowed goes to the dead-letter topic.",
    docs="API: DeadLetterPolicy",
)
def test_forwarded(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()

    source.nack(5)

    assert source.dead_letter().data == b"x"


@dead_letters("It is not forwarded before.", docs="API: DeadLetterPolicy")
def test_not_before(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()

    source.nack(4)

    assert data_of(pubsub.pull(source.subscription)) == [b"x"]
    assert pubsub.pull_now(source.dead) == []


@dead_letters(
    "A forwarded message is acknowledged in its own subscription.", docs="Dead-letter topics"
)
def test_acknowledged_at_the_source(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()
    source.nack(5)

    source.dead_letter()

    assert pubsub.pull_now(source.subscription) == []


@dead_letters("Pull tells the delivery attempt, from 1.", docs="API: ReceivedMessage")
def test_delivery_attempt(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()

    assert source.nack(5) == [1, 2, 3, 4, 5]


@dead_letters("A stream tells the delivery attempt.", docs="API: ReceivedMessage")
def test_delivery_attempt_on_a_stream(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()

    with Stream(pubsub, source.subscription) as stream:
        stream.modify(0, *stream.wait_for(1))

        assert [message.delivery_attempt for message in stream.wait_for(2)] == [1, 2]


@dead_letters("An ack deadline that passes counts as an attempt.", docs="API: DeadLetterPolicy")
def test_expiry_counts(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()
    pubsub.modify(source.subscription, 1, *pubsub.pull(source.subscription))

    (again,) = pubsub.pull(source.subscription)

    assert again.delivery_attempt == 2


@dead_letters("The maximum is the policy's.", docs="API: DeadLetterPolicy")
def test_maximum(pubsub: PubSub) -> None:
    source = Source(pubsub, attempts=7)
    source.publish()

    assert source.nack(7) == [1, 2, 3, 4, 5, 6, 7]
    assert source.dead_letter().data == b"x"


@dead_letters("A dead letter keeps data, attributes and ordering key.", docs="Dead-letter topics")
def test_kept(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish(attributes={"a": "1"}, ordering_key="key")

    source.nack(5)

    dead_letter = source.dead_letter()
    attributes = {k: v for k, v in dead_letter.attributes.items() if not k.startswith(PREFIX)}
    assert (dead_letter.data, attributes, dead_letter.ordering_key) == (b"x", {"a": "1"}, "key")


@dead_letters("A dead letter has a message id of its own.", docs="Dead-letter topics")
def test_id(pubsub: PubSub) -> None:
    source = Source(pubsub)
    id = source.publish()

    source.nack(5)

    assert source.dead_letter().message_id != id


@dead_letters(
    "Its attributes name the source subscription and that one's project.", docs="Dead-letter topics"
)
def test_source_attributes(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()

    source.nack(5)

    attributes = source.dead_letter().attributes
    assert attributes[f"{PREFIX}Subscription"] == source.subscription.rpartition("/")[2]
    assert attributes[f"{PREFIX}SubscriptionProject"] == pubsub.project.removeprefix("projects/")


@dead_letters("An attribute tells the number of attempts.", docs="Dead-letter topics")
def test_count_attribute(pubsub: PubSub) -> None:
    source = Source(pubsub, attempts=6)
    source.publish()

    source.nack(6)

    assert source.dead_letter().attributes[f"{PREFIX}DeliveryCount"] == "6"


@dead_letters("An attribute tells when the message was first published.", docs="Dead-letter topics")
def test_time_attribute(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()
    (received,) = pubsub.pull(source.subscription)
    published = received.message.publish_time
    pubsub.modify(source.subscription, 0, received)

    source.nack(4)

    text = source.dead_letter().attributes[f"{PREFIX}TopicPublishTime"]
    assert text.startswith(published.strftime("%Y-%m-%dT%H:%M:%S"))


@dead_letters(
    "Pushes that fail count, and end in the dead-letter topic.", docs="Dead-letter topics"
)
def test_push(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500]
    source = Source(pubsub, push_config={"push_endpoint": sink.url})

    source.publish()

    sink.wait_for(5)
    (received,) = pubsub.pull(source.dead)
    assert received.message.data == b"x"
    assert len(sink.pushes) == 5


@dead_letters("If the dead-letter topic is gone the message stays.", docs="Dead-letter topics")
def test_deleted_topic(pubsub: PubSub) -> None:
    source = Source(pubsub)
    source.publish()
    pubsub.call("delete_topic", topic=source.dead_topic)

    source.nack(6)

    assert data_of(pubsub.pull(source.subscription)) == [b"x"]


dead_letters.only_in_the_cloud(
    "Pub/Sub's service account needs the roles publisher and subscriber to forward messages.",
    docs="Dead-letter topics",
)
dead_letters.only_in_the_cloud(
    "Attempts are counted at best effort; the count may start again.", docs="Dead-letter topics"
)
