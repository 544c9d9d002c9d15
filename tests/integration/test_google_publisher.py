"""`GooglePublisher` against Google's emulator: the contract of all publishers, and time-outs."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from tests.contract.publisher_contract import PublisherContract, ReadBack
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.publishing.google import GooglePublisher

from .emulator import Emulator
from .processes import Process, environment, wait_until

pytestmark = pytest.mark.slow


END = {"end": "of the messages"}


class TestGooglePublisher(PublisherContract):
    @pytest.fixture
    def publisher(self, emulator: Emulator) -> GooglePublisher:
        return GooglePublisher(f"http://{emulator.host}", AnonymousCredentials())

    @pytest.fixture
    def topic(self, emulator: Emulator) -> str:
        return emulator.create_topic()

    @pytest.fixture
    def subscription(self, emulator: Emulator, topic: str) -> str:
        return emulator.subscribe(topic, enable_message_ordering=True)

    @pytest.fixture
    def read_back(self, emulator: Emulator, topic: str, subscription: str) -> ReadBack:
        def read(_: str) -> list[PubsubMessage]:
            """Publish a last message, and read until it comes."""
            emulator.publish(topic, b"", **END)
            messages: list[PubsubMessage] = []

            def at_end() -> bool:
                messages.extend(map(as_ours, emulator.pull(subscription)))
                return any(message.attributes == END for message in messages)

            wait_until(at_end, "the last message")
            return [message for message in messages if message.attributes != END]

        return read


def as_ours(message: Any) -> PubsubMessage:
    return PubsubMessage(
        data=message.data,
        attributes=dict(message.attributes),
        message_id=message.message_id,
        ordering_key=message.ordering_key,
    )


UNREACHABLE = """
import sys
from google.auth.credentials import AnonymousCredentials
from ucam_faas.exceptions import PublishError
from ucam_faas.publishing.google import GooglePublisher
publisher = GooglePublisher(f"http://{sys.argv[1]}", AnonymousCredentials())
try:
    publisher.publish("projects/p/topics/t", b"data", {}, timeout_seconds=0.5)
except PublishError as error:
    print(error)
"""


@pytest.mark.parametrize("listens", [False, True], ids=["refuses connections", "never answers"])
def test_a_pubsub_that_cannot_be_reached_is_an_error_at_the_timeout(
    tmp_path: Path, listens: bool
) -> None:
    """In a process of its own, which ends also if the call does not."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", UNREACHABLE, host]
        process = Process(command, tmp_path, environment(tmp_path))
        try:
            process.wait()
        finally:
            process.kill()

    assert process.stdout.startswith("Publishing to projects/p/topics/t failed: ")
