"""A queue of the embedded Cloud Tasks, its tasks, and the messages in a topic's log."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.processes import request
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.testing.pubsub import EmbeddedPubsub, model


def call(host: str, method: str, path: str, body: Any = None) -> Any:
    """Call a method of Cloud Tasks over REST; the path follows `/v2/`."""
    data = b"" if body is None else json.dumps(body).encode()
    answer = request(int(host.rpartition(":")[2]), method, f"/v2/{path}", data)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def create_queue(host: str, name: str) -> None:
    """Create a queue."""
    call(host, "POST", f"{name.rpartition('/queues/')[0]}/queues", {"name": name})


def tasks_of(host: str, queue: str) -> list[Any]:
    """Return a queue's tasks, with their bodies."""
    return list(call(host, "GET", f"{queue}/tasks?responseView=FULL").get("tasks", []))


def published(pubsub: EmbeddedPubsub, topic: str) -> list[PubsubMessage]:
    """Return the messages of a topic that its subscription hasn't acknowledged."""
    full = f"projects/{pubsub.project}/topics/{topic}"

    def read() -> list[PubsubMessage]:
        engine = pubsub.emulator.engine
        return [model(each) for each in engine.storage.read(engine.topics[full].number, 0)]

    return pubsub.call(read)
