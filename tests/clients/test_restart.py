"""Google's client goes on when the emulator is killed and started again with its state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1

from tests.integration.emulator import PROJECT, new_name
from tests.integration.processes import wait_until
from tests.support.delays import call, create_queue, tasks_of

from .endpoint import CHOICE, running_ours
from .sink import running_sink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHOICE != "ours", reason="only ours keeps its state"),
]


def test_open_clients_go_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = ("--state", str(tmp_path / "state"))
    topic, subscription = new_name("topics"), new_name("subscriptions")
    seen: set[bytes] = set()

    def callback(message: Any) -> None:
        message.ack()
        seen.add(message.data)

    with running_ours(tmp_path / "first", *state) as host:
        port = int(host.rpartition(":")[2])
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)
        unread = subscriber.create_subscription(name=new_name("subscriptions"), topic=topic).name
        future = subscriber.subscribe(subscription, callback)
        publisher.publish(topic, b"before").result(timeout=30)
        wait_until(lambda: b"before" in seen, "the first message")

    with running_ours(tmp_path / "second", *state, port=port):
        publisher.publish(topic, b"after").result(timeout=30)
        wait_until(lambda: b"after" in seen, "the second message", 30)
        kept: set[bytes] = set()

        def all_kept() -> bool:
            response = subscriber.pull(subscription=unread, max_messages=10, timeout=20)
            kept.update(received.message.data for received in response.received_messages)
            return len(kept) == 2

        wait_until(all_kept, "both messages", 30)
        future.cancel()
        future.result(timeout=30)
    publisher.stop()
    publisher.transport.close()
    subscriber.close()


def test_tasks_of_cloud_tasks_outlive_a_kill(tmp_path: Path) -> None:
    """Created and deleted tasks stay so; a paused queue stays paused."""
    state = ("--state", str(tmp_path / "state"))
    queue = f"projects/{PROJECT}/locations/europe-west2/queues/q"
    with running_sink() as sink:
        with running_ours(tmp_path / "first", *state) as host:
            create_queue(host, queue)
            call(host, "POST", f"{queue}:pause", {})
            for name in ("kept", "deleted"):
                task = {"name": f"{queue}/tasks/{name}", "httpRequest": {"url": sink.url}}
                call(host, "POST", f"{queue}/tasks", {"task": task})
            call(host, "DELETE", f"{queue}/tasks/deleted")

        with running_ours(tmp_path / "second", *state) as host:
            assert [task["name"] for task in tasks_of(host, queue)] == [f"{queue}/tasks/kept"]
            call(host, "POST", f"{queue}:resume", {})

            assert sink.wait().headers["x-cloudtasks-taskname"] == "kept"
