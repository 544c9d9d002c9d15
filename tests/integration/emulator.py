"""Google's Pub/Sub emulator as a process, and google-cloud-pubsub's clients for it."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn

import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

from .processes import Process, Server, free_port, request, wait_until

PROJECT = "test-project"


class Emulator:
    """A running emulator. Each name that it makes up is used once: tests share it."""

    def __init__(self, host: str) -> None:
        self.host = host
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PUBSUB_EMULATOR_HOST", host)
            self.publisher = pubsub_v1.PublisherClient()
            self.subscriber = pubsub_v1.SubscriberClient()

    def close(self) -> None:
        """Close the clients."""
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()

    def create_topic(self, name: str | None = None) -> str:
        """Create a topic, and return its full name."""
        topic = name or new_name("topics")
        self.publisher.create_topic(name=topic)
        return topic

    def subscribe(self, topic: str, **options: Any) -> str:
        """Create a subscription, for pulling unless options say otherwise."""
        subscription = new_name("subscriptions")
        self.subscriber.create_subscription(
            request={"name": subscription, "topic": topic, **options}
        )
        return subscription

    def push_to(self, server: Server, task: str, **options: Any) -> tuple[str, str]:
        """Create a topic that pushes to a task, and return it and its subscription.

        It has no retry policy: the emulator delivers again after 1 s without one, and after up
        to 3 s with any.
        """
        topic = self.create_topic()
        endpoint = f"http://127.0.0.1:{server.port}/{task}"
        push_config = {"push_endpoint": endpoint}
        return topic, self.subscribe(topic, push_config=push_config, **options)

    def publish(self, topic: str, data: bytes, **attributes: str) -> str:
        """Publish a message, and return its id."""
        return str(self.publisher.publish(topic, data, **attributes).result(timeout=10))

    def pull(self, subscription: str, seconds: float = 10.0) -> list[Any]:
        """Return and acknowledge the next messages of a subscription; none after a while."""
        try:
            response = self.subscriber.pull(
                subscription=subscription, max_messages=100, timeout=seconds, retry=None
            )
        except DeadlineExceeded:
            return []
        if response.received_messages:
            ids = [received.ack_id for received in response.received_messages]
            self.subscriber.acknowledge(subscription=subscription, ack_ids=ids)
        return [received.message for received in response.received_messages]

    def undelivered(self, subscription: str) -> list[Any]:
        """Stop a subscription's pushes, and return the messages that it would push again."""
        self.subscriber.modify_push_config(subscription=subscription, push_config={})
        deadline = time.monotonic() + 1.5  # what was nacked comes again after 1 s
        messages: list[Any] = []
        while not messages and time.monotonic() < deadline:
            messages = self.pull(subscription, seconds=deadline - time.monotonic())
        return messages


def new_name(kind: str) -> str:
    """Make up the full name of a topic or subscription."""
    return f"projects/{PROJECT}/{kind}/t-{uuid.uuid4().hex[:12]}"


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Run the emulator; skip the test where there is none, but fail it in CI."""
    for _ in range(3):  # another process may take the free port first
        port = free_port()
        process = Process(_command(port), folder, {**os.environ, "HOME": str(folder)})
        try:
            if not wait_until(lambda: _state(process, port), "the emulator answers", 60):  # noqa: B023  # called at once
                continue
            emulator = Emulator(f"127.0.0.1:{port}")
            try:
                yield emulator
            finally:
                emulator.close()
            return
        finally:
            process.kill()
    raise AssertionError(f"The emulator does not start: {process.output}")


def _state(process: Process, port: int) -> list[bool]:
    """Return nothing while it starts, and then whether it answers."""
    if process.popen.poll() is not None:
        return [False]
    try:
        return [request(port, "GET", "/", seconds=5).status == 200]
    except (OSError, HTTPException):
        return []


def _command(port: int) -> Sequence[str]:
    java = shutil.which("java")
    if java is None:
        _unavailable("java is not on PATH")
    root = _sdk_root()
    jars = sorted(root.glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"))
    if jars:
        options = ["-Xmx512m", "-XX:-UsePerfData"]
        return [java, *options, "-jar", str(jars[-1]), "--host=127.0.0.1", f"--port={port}"]
    gcloud = root / "bin" / "gcloud"
    if not (root / "platform" / "pubsub-emulator").is_dir() or not gcloud.exists():
        _unavailable(
            f"{root} holds no Pub/Sub emulator: run gcloud components install pubsub-emulator"
        )
    start = [str(gcloud), "beta", "emulators", "pubsub", "start"]
    return [*start, f"--host-port=127.0.0.1:{port}", f"--project={PROJECT}"]


def _sdk_root() -> Path:
    named = os.environ.get("CLOUDSDK_ROOT_DIR")
    if named:
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        _unavailable("gcloud is not on PATH and CLOUDSDK_ROOT_DIR is not set")
    return Path(gcloud).resolve().parent.parent


def _unavailable(reason: str) -> NoReturn:
    message = f"No Pub/Sub emulator: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
