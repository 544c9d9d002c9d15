"""`RestPublisher` does what every publisher does, against our emulator and against Google's."""

from __future__ import annotations

import base64
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.publisher_contract import PublisherContract, ReadBack
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.publishing.rest import RestPublisher

from . import test_google_publisher
from .emulator import Emulator
from .processes import Process, environment, request, wait_until

pytestmark = pytest.mark.slow

Call = Callable[..., Any]


class TestRestPublisherWithGooglesEmulator(test_google_publisher.TestGooglePublisher):
    @pytest.fixture
    def publisher(self, emulator: Emulator) -> RestPublisher:  # type: ignore[override]
        return RestPublisher(emulator.host)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an embedded emulator, in a process of its own."""
    folder = tmp_path_factory.mktemp("emulator")
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--port", "0", "--memory"]
    process = Process(command, folder, environment(folder))
    try:
        ready = wait_until(lambda: re.search(r"ready on \S+:(\d+)", process.output), "it is ready")
        yield int(ready[1])
    finally:
        process.kill()


class TestRestPublisherWithOurEmulator(PublisherContract):
    @pytest.fixture
    def publisher(self, port: int) -> RestPublisher:
        return RestPublisher(f"127.0.0.1:{port}")

    @pytest.fixture
    def call(self, port: int) -> Call:
        def call(method: str, path: str, **body: Any) -> Any:
            headers = {"Content-Type": "application/json"}
            sent = json.dumps(body).encode()
            answer = request(port, method, f"/v1/{path}", sent, headers=headers)
            assert answer.status == 200, answer
            return json.loads(answer.body)

        return call

    @pytest.fixture
    def topic(self, call: Call) -> str:
        topic = f"projects/test-project/topics/topic-{next(_NUMBERS)}"
        call("PUT", topic)
        call("PUT", topic.replace("topics", "subscriptions"), topic=topic)
        return topic

    @pytest.fixture
    def read_back(self, call: Call, topic: str) -> ReadBack:
        def read(topic: str) -> list[PubsubMessage]:
            pull = topic.replace("topics", "subscriptions") + ":pull"
            response = call("POST", pull, maxMessages=100, returnImmediately=True)
            return [_as_ours(item["message"]) for item in response.get("receivedMessages", [])]

        return read


_NUMBERS = itertools.count(1)


def _as_ours(message: dict[str, Any]) -> PubsubMessage:
    return PubsubMessage(
        data=base64.b64decode(message.get("data", "")),
        attributes=message.get("attributes", {}),
        message_id=message["messageId"],
        ordering_key=message.get("orderingKey", ""),
    )
