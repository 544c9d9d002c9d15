"""The container that compose started, behind push subscriptions of a Pub/Sub on the host.

Twice: with the embedded Pub/Sub, and with Google's emulator.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from google.api_core.exceptions import AlreadyExists

from tests.clients.endpoint import Endpoint
from tests.clients.gcloud import Gcloud
from tests.integration.emulator import PROJECT, Emulator
from tests.integration.processes import wait_until

from .engine import Container

pytestmark = pytest.mark.slow

QUICK = {"minimum_backoff": {"nanos": 100_000_000}, "maximum_backoff": {"nanos": 300_000_000}}


def push_to(pubsub: Emulator, tasks: Container, name: str, **options: Any) -> tuple[str, str]:
    """Create a topic that pushes to a task, and return it and its subscription."""
    topic = pubsub.create_topic()
    push_config = {"push_endpoint": f"http://127.0.0.1:{tasks.port}/{name}"}
    return topic, pubsub.subscribe(topic, push_config=push_config, retry_policy=QUICK, **options)


def outcomes(tasks: Container, subscription: str, message_id: str, count: int) -> list[str]:
    """Wait for this many executions of a message, and return what they came to, as logged."""

    def find() -> list[dict[str, Any]]:
        # Two Pub/Subs may give two messages one id.
        lines = tasks.log(message_id=message_id, subscription=subscription)
        return lines if len(lines) >= count else []

    return [line["outcome"] for line in wait_until(find, f"{count} executions", 60)]


def test_a_message_of_googles_client_is_handled(pubsub: Emulator, tasks: Container) -> None:
    topic, subscription = push_to(pubsub, tasks, "store")

    message_id = pubsub.publish(topic, b'{"number": 1}')

    assert outcomes(tasks, subscription, message_id, 1) == ["done"]


def test_a_message_of_gcloud_is_handled(
    pubsub: Emulator, tasks: Container, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gcloud = Gcloud(Endpoint(pubsub.host, is_ours=True), tmp_path_factory.mktemp("gcloud"))
    topic, subscription = push_to(pubsub, tasks, "store")

    answer = gcloud.run(
        f"pubsub topics publish {topic.rpartition('/')[2]}", '--message={"number": 2}'
    )

    assert outcomes(tasks, subscription, answer["messageIds"][0], 1) == ["done"]


def test_a_message_that_fails_is_delivered_again(pubsub: Emulator, tasks: Container) -> None:
    topic, subscription = push_to(pubsub, tasks, "fail_twice")

    message_id = pubsub.publish(topic, b'{"number": 3}')

    assert outcomes(tasks, subscription, message_id, 3) == ["failed", "crashed", "done"]


def given_up(pubsub: Emulator) -> tuple[str, str]:
    """Return the dead-letter topic that the container's environment names, and a subscription."""
    topic = f"projects/{PROJECT}/topics/given-up"
    with suppress(AlreadyExists):
        pubsub.create_topic(topic)
    return topic, pubsub.subscribe(topic)


def test_a_message_that_fails_always_becomes_a_dead_letter(
    pubsub: Emulator, embedded: Emulator, tasks: Container
) -> None:
    """The last attempt publishes it, if it is told its number; otherwise Pub/Sub forwards it."""
    topic, dead_letters = given_up(pubsub)
    policy = {"dead_letter_topic": topic, "max_delivery_attempts": 5}
    topic, subscription = push_to(pubsub, tasks, "fail_always", dead_letter_policy=policy)

    message_id = pubsub.publish(topic, b'{"number": 4}')

    last = "dead_lettered" if pubsub is embedded else "crashed"
    assert outcomes(tasks, subscription, message_id, 5) == ["crashed"] * 4 + [last]
    (message,) = wait_until(lambda: pubsub.pull(dead_letters), "the dead letter", 60)
    assert message.data == b'{"number": 4}'


def test_what_a_task_gives_up_is_published_from_the_container(
    embedded: Emulator, tasks: Container
) -> None:
    """The container reaches the Pub/Sub on the host, at PUBSUB_EMULATOR_HOST."""
    _, dead_letters = given_up(embedded)
    topic, subscription = push_to(embedded, tasks, "give_up")

    message_id = embedded.publish(topic, b'{"number": 5}')

    assert outcomes(tasks, subscription, message_id, 1) == ["dead_lettered"]
    (message,) = wait_until(lambda: embedded.pull(dead_letters), "the dead letter")
    assert (message.data, message.attributes["ucam_faas_task"]) == (b'{"number": 5}', "give_up")
