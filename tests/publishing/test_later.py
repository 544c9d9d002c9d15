"""Messages that Cloud Tasks publishes later: with the embedded one, by hand-moved time."""

from __future__ import annotations

import base64
import json
import re
import socket
from datetime import timedelta

import pytest
from hypothesis import example, given, settings, strategies as st

from tests.integration.processes import wait_until
from tests.support.delays import create_queue, published, tasks_of
from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.net.rest import CredentialsError
from ucam_faas.publishing import MAX_PUBLISHED, Draft
from ucam_faas.publishing.later import (
    LATE_SECONDS,
    MAX_AHEAD_SECONDS,
    MAX_BODY_BYTES,
    DelayQueue,
    connect,
)
from ucam_faas.testing import ManualClock
from ucam_faas.testing.pubsub import EmbeddedPubsub

QUEUE = "projects/test-project/locations/local/queues/delays"
TOPIC = "projects/test-project/topics/charge-inbox"
HOUR = 3600.0


@pytest.fixture
def pubsub(ucam_faas_clock: ManualClock, ucam_faas_pubsub: EmbeddedPubsub) -> EmbeddedPubsub:
    """An emulator with the topic and the queue."""
    ucam_faas_pubsub.create_subscription("charge-inbox")
    create_queue(ucam_faas_pubsub.host, QUEUE)
    return ucam_faas_pubsub


@pytest.fixture
def queue(pubsub: EmbeddedPubsub) -> DelayQueue:
    return connect(QUEUE, None, pubsub.host)


def arrived(pubsub: EmbeddedPubsub) -> list[str]:
    return [message.attributes["id"] for message in published(pubsub, "charge-inbox")]


def drafts(count: int) -> list[Draft]:
    return [Draft(b"", {"id": str(number)}) for number in range(count)]


def test_messages_are_published_at_their_time_and_not_before(
    queue: DelayQueue, pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    at = ucam_faas_clock.now() + timedelta(hours=1)

    queue.publish_later(at.timestamp(), TOPIC, drafts(3))

    ucam_faas_clock.advance(HOUR)
    assert arrived(pubsub) == []
    ucam_faas_clock.advance(LATE_SECONDS)
    assert wait_until(lambda: arrived(pubsub), "the messages") == ["0", "1", "2"]
    wait_until(lambda: not tasks_of(pubsub.host, QUEUE), "the task is gone")


def test_a_task_has_no_name_of_ours_and_publishes_with_an_oauth_token(
    pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    queue = connect(QUEUE, "wake@p.iam.gserviceaccount.com", pubsub.host)
    at = ucam_faas_clock.now().timestamp() + HOUR

    for _ in range(2):
        queue.publish_later(at, TOPIC, drafts(1))

    first, second = tasks_of(pubsub.host, QUEUE)
    assert first["name"] != second["name"]
    assert first["httpRequest"]["url"] == f"https://pubsub.googleapis.com/v1/{TOPIC}:publish"
    assert first["httpRequest"]["oauthToken"] == {
        "serviceAccountEmail": "wake@p.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/pubsub",
    }


def test_many_messages_share_few_tasks(
    queue: DelayQueue, pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    queue.publish_later(ucam_faas_clock.now().timestamp() + HOUR, TOPIC, drafts(2500))

    created = tasks_of(pubsub.host, QUEUE)
    assert len(created) <= 4
    ucam_faas_clock.advance(HOUR + LATE_SECONDS)
    wait_until(lambda: len(arrived(pubsub)) == 2500, "all messages")
    assert sorted(map(int, arrived(pubsub))) == list(range(2500))


class Recorder:
    """Takes requests, and keeps the messages that they publish."""

    host = "recorder"

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        task = json.loads(body)["task"]
        self.bodies.append(base64.b64decode(task["httpRequest"]["body"]))
        return 200, b"{}"

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.slow
@given(st.lists(st.sampled_from([1, 500, 3000]), min_size=1, max_size=2000))
@example([3000] * 50)
@example([1] * 2000)
@settings(max_examples=10)
def test_no_task_is_too_large_and_no_message_is_missing(sizes: list[int]) -> None:
    api = Recorder()
    queue = DelayQueue(QUEUE, api, lambda: "a@b")
    wakes = [Draft(b"", {"id": str(n), "x": "x" * size}) for n, size in enumerate(sizes)]

    queue.publish_later(0.0, TOPIC, wakes)

    parts = [json.loads(body)["messages"] for body in api.bodies]
    sent = [int(message["attributes"]["id"]) for part in parts for message in part]
    assert sent == list(range(len(sizes)))
    assert max(map(len, api.bodies)) <= MAX_BODY_BYTES
    assert max(map(len, parts)) <= MAX_PUBLISHED


def test_the_furthest_time_is_one_that_cloud_tasks_takes(
    queue: DelayQueue, pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock
) -> None:
    now = ucam_faas_clock.now().timestamp()

    queue.publish_later(now + MAX_AHEAD_SECONDS, TOPIC, drafts(1))

    assert queue.reaches(now + MAX_AHEAD_SECONDS, now)
    assert not queue.reaches(now + 720 * HOUR, now)
    assert len(tasks_of(pubsub.host, QUEUE)) == 1


def test_a_queue_that_does_not_exist_is_an_error_that_names_it(pubsub: EmbeddedPubsub) -> None:
    queue = connect(f"{QUEUE}-none", None, pubsub.host)

    with pytest.raises(PublishError, match=f"{QUEUE}-none, failed: NOT_FOUND: Queue does not"):
        queue.publish_later(0.0, TOPIC, drafts(1))


def test_a_queue_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host = "{}:{}".format(*listener.getsockname())

    with pytest.raises(PublishError, match=f"{re.escape(host)} does not answer"):
        connect(QUEUE, None, host).publish_later(0.0, TOPIC, drafts(1))


def test_an_account_that_is_not_known_is_an_error() -> None:
    def account() -> str:
        raise CredentialsError("there is none")

    with pytest.raises(PublishError, match=r"failed: there is none\. Set UCAM_FAAS_DELAY_ACCOUNT"):
        DelayQueue(QUEUE, Recorder(), account).publish_later(0.0, TOPIC, drafts(1))


@pytest.mark.parametrize("name", ["delays", "projects/p/queues/q", f"{QUEUE}/tasks/t", ""])
def test_a_queue_needs_its_full_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected projects/PROJECT/locations/LOCATION"):
        connect(name, None, "127.0.0.1:1")
