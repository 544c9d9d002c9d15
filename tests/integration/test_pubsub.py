"""Tasks behind push subscriptions of Google's Pub/Sub emulator, with google-cloud-pubsub.

The emulator delivers again one second after a nack.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ucam_faas import RetryPolicy
from ucam_faas.testing import make_message, make_push

from .emulator import Emulator, new_name
from .processes import Answer, Server, serving, wait_until

pytestmark = pytest.mark.slow

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process without a dead-letter topic, for all tests: each has its own message ids."""
    with serving(folder=tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def dead_letter_topic(emulator: Emulator) -> str:
    return emulator.create_topic()


@pytest.fixture
def dead_letters(emulator: Emulator, dead_letter_topic: str) -> str:
    """A subscription that holds the dead letters from now on."""
    return emulator.subscribe(dead_letter_topic)


@pytest.fixture(scope="module")
def dead_lettering_server(
    tmp_path_factory: pytest.TempPathFactory, emulator: Emulator, dead_letter_topic: str
) -> Iterator[Server]:
    """A process with a dead-letter topic on the emulator."""
    folder = tmp_path_factory.mktemp("dead-lettering-server")
    environ = {
        "UCAM_FAAS_DEAD_LETTER_TOPIC": dead_letter_topic,
        "PUBSUB_EMULATOR_HOST": emulator.host,
    }
    with serving(folder=folder, **environ) as server:
        yield server


def outcomes(server: Server, message_id: str, *, count: int = 0) -> list[str]:
    """Return the outcomes of a message's executions, as logged, when there are as many as `count`.

    A line is written soon after its answer.
    """

    def logged() -> list[str]:
        return [line["outcome"] for line in server.log() if line.get("message_id") == message_id]

    wait_until(lambda: len(logged()) >= count, f"{count} lines in the log")
    return logged()


def test_a_message_arrives_with_payload_id_and_attributes(
    emulator: Emulator, server: Server
) -> None:
    topic, subscription = emulator.push_to(server, "store")

    message_id = emulator.publish(topic, b'{"number": 7}', colour="blue", empty="")

    (effect,) = wait_until(lambda: server.effects(message_id=message_id), "the effect")
    assert effect["effect"] == "store"
    assert effect["number"] == 7
    assert effect["attributes"] == {"colour": "blue", "empty": ""}
    assert effect["subscription"] == subscription
    assert outcomes(server, message_id, count=1) == ["done"]
    assert emulator.undelivered(subscription) == []


def test_every_message_of_many_is_handled_once(emulator: Emulator, server: Server) -> None:
    topic, _ = emulator.push_to(server, "store")

    ids = [emulator.publish(topic, b'{"number": %d}' % number) for number in range(50)]

    def handled() -> list[str]:
        return [line["message_id"] for line in server.effects() if line["message_id"] in ids]

    wait_until(lambda: len(handled()) >= len(ids), "all are handled")
    assert sorted(handled()) == sorted(ids)


def test_an_async_task_takes_messages(emulator: Emulator, server: Server) -> None:
    topic, _ = emulator.push_to(server, "store_async")

    message_id = emulator.publish(topic, b'{"number": 8}', colour="red")

    (effect,) = wait_until(lambda: server.effects(message_id=message_id), "the effect")
    assert effect["number"] == 8
    assert effect["attributes"] == {"colour": "red"}


def test_a_protobuf_message_is_decoded(emulator: Emulator, server: Server) -> None:
    topic, _ = emulator.push_to(server, "store_protobuf")

    data = StringValue(value="grüß dich").SerializeToString()
    message_id = emulator.publish(topic, data)

    (effect,) = wait_until(lambda: server.effects(message_id=message_id), "the effect")
    assert effect["value"] == "grüß dich"


def test_a_message_of_attributes_alone_is_handled(emulator: Emulator, server: Server) -> None:
    topic, _ = emulator.push_to(server, "store_bytes")

    message_id = emulator.publish(topic, b"", colour="green")

    (effect,) = wait_until(lambda: server.effects(message_id=message_id), "the effect")
    assert effect["data"] == ""
    assert effect["attributes"] == {"colour": "green"}


def test_a_failing_message_is_retried_until_it_is_done(emulator: Emulator, server: Server) -> None:
    topic, _ = emulator.push_to(server, "fail_twice")

    message_id = emulator.publish(topic, b'{"number": 9}')

    wait_until(lambda: "done" in outcomes(server, message_id), "it is done")
    assert outcomes(server, message_id) == ["failed", "crashed", "done"]
    assert len(server.effects(message_id=message_id)) == 3


def test_poison_goes_to_the_subscriptions_dead_letter_topic_after_its_attempts(
    emulator: Emulator, server: Server
) -> None:
    dead = emulator.create_topic()
    dead_letters = emulator.subscribe(dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    topic, _ = emulator.push_to(server, "fail_always", dead_letter_policy=policy)

    message_id = emulator.publish(topic, b'{"number": 10}', colour="black")

    (letter,) = wait_until(lambda: emulator.pull(dead_letters), "the dead letter", 30)
    assert letter.data == b'{"number": 10}'
    assert letter.attributes["colour"] == "black"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert len(server.effects(message_id=message_id)) == 5
    assert outcomes(server, message_id, count=5) == ["crashed"] * 5


def test_a_message_that_is_given_up_is_dead_lettered_and_acknowledged(
    emulator: Emulator, dead_lettering_server: Server, dead_letters: str
) -> None:
    server = dead_lettering_server
    topic, subscription = emulator.push_to(server, "give_up")

    message_id = emulator.publish(topic, b'{"number": 11}', colour="white")

    (letter,) = wait_until(lambda: emulator.pull(dead_letters), "the dead letter")
    assert letter.data == b'{"number": 11}'
    attributes = dict(letter.attributes)
    assert attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert attributes.pop("ucam_faas_fingerprint").startswith("1:")
    assert datetime.fromisoformat(attributes.pop("ucam_faas_last_attempt"))
    assert attributes.pop("ucam_faas_error").startswith("DeadLetter at ")
    assert attributes == {
        "colour": "white",
        "ucam_faas_reason": "no such order",
        "ucam_faas_task": "give_up",
        "ucam_faas_message_id": message_id,
        "CloudPubSubDeadLetterSourceSubscription": subscription.rpartition("/")[2],
        "CloudPubSubDeadLetterSourceSubscriptionProject": subscription.split("/")[1],
    }
    assert emulator.undelivered(subscription) == []
    assert len(server.effects(message_id=message_id)) == 1
    assert outcomes(server, message_id, count=1) == ["dead_lettered"]


def test_the_last_attempt_publishes_the_dead_letter_with_its_trace(
    emulator: Emulator, dead_lettering_server: Server, dead_letters: str
) -> None:
    """Google's emulator doesn't tell attempts, so the push is made here, as Pub/Sub makes it."""
    last = RetryPolicy().max_attempts or 0
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    message = make_message(
        b'{"number": 13}',
        attributes={"googclient_traceparent": trace},
        message_id="last-13",
        ordering_key="o",
    )

    def attempt(number: int) -> Answer:
        push = make_push(message, delivery_attempt=number)
        return dead_lettering_server.post("/fail_always", push.body, headers=push.headers)

    assert [attempt(number).status for number in (last - 1, last)] == [500, 200]
    (letter,) = wait_until(lambda: emulator.pull(dead_letters), "the dead letter")
    assert (letter.data, letter.ordering_key) == (b'{"number": 13}', "o")
    assert letter.attributes["ucam_faas_reason"] == f"RuntimeError (attempt {last}, the last)"
    assert letter.attributes["ucam_faas_message_id"] == "last-13"
    assert letter.attributes["googclient_traceparent"] == trace
    assert letter.attributes["ucam_faas_error"].startswith("RuntimeError at ")
    assert outcomes(dead_lettering_server, "last-13", count=2) == ["crashed", "dead_lettered"]


def test_pubsub_forwards_what_a_task_with_a_topic_of_its_own_does_not(
    emulator: Emulator, dead_lettering_server: Server
) -> None:
    """Its attempts are unknown: no attempt is the last one, and Pub/Sub is the net."""
    dead = emulator.create_topic()
    kept = emulator.subscribe(dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    topic, _ = emulator.push_to(dead_lettering_server, "fail_always", dead_letter_policy=policy)

    message_id = emulator.publish(topic, b'{"number": 14}')

    (letter,) = wait_until(lambda: emulator.pull(kept), "the dead letter", 30)
    assert letter.data == b'{"number": 14}'
    assert "ucam_faas_reason" not in letter.attributes
    assert outcomes(dead_lettering_server, message_id, count=5) == ["crashed"] * 5


def test_a_message_is_acknowledged_only_when_its_dead_letter_is_published(
    emulator: Emulator, serve: Serve
) -> None:
    """The dead-letter topic is not there yet: nothing is lost."""
    dead = new_name("topics")
    server = serve(
        UCAM_FAAS_DEAD_LETTER_TOPIC=dead.rpartition("/")[2],
        GOOGLE_CLOUD_PROJECT=dead.split("/")[1],
        PUBSUB_EMULATOR_HOST=emulator.host,
    )
    topic, _ = emulator.push_to(server, "give_up")

    message_id = emulator.publish(topic, b'{"number": 12}')
    outcomes(server, message_id, count=2)  # it is delivered again
    dead_letters = emulator.subscribe(emulator.create_topic(dead))

    (letter,) = wait_until(lambda: emulator.pull(dead_letters), "the dead letter")
    assert letter.data == b'{"number": 12}'
    wait_until(lambda: "dead_lettered" in outcomes(server, message_id), "its line in the log")
    *before, last = outcomes(server, message_id)
    assert (set(before), last) == ({"dead_letter"}, "dead_lettered")
    assert len(server.log("ucam_faas_dead_letter_failed")) == len(before)


def test_an_undecodable_message_is_dead_lettered_at_its_first_attempt(
    emulator: Emulator, dead_lettering_server: Server, dead_letters: str
) -> None:
    server = dead_lettering_server
    topic, subscription = emulator.push_to(server, "store")

    message_id = emulator.publish(topic, b'{"number": "secret"}', colour="grey")

    (letter,) = wait_until(lambda: emulator.pull(dead_letters), "the dead letter")
    assert letter.data == b'{"number": "secret"}'
    assert letter.attributes["colour"] == "grey"
    assert letter.attributes["ucam_faas_task"] == "store"
    assert "number" in letter.attributes["ucam_faas_reason"]
    assert "secret" not in letter.attributes["ucam_faas_reason"]
    assert emulator.undelivered(subscription) == []
    assert outcomes(server, message_id, count=1) == ["dead_lettered"]
    assert server.effects(message_id=message_id) == []
    assert "secret" not in server.stdout


def test_an_undecodable_message_is_nacked_without_a_dead_letter_topic(
    emulator: Emulator, server: Server
) -> None:
    topic, _ = emulator.push_to(server, "store")

    message_id = emulator.publish(topic, b'{"number": "secret"}')

    outcomes(server, message_id, count=2)  # it is delivered again
    assert set(outcomes(server, message_id)) == {"invalid_payload"}
    assert server.effects(message_id=message_id) == []
