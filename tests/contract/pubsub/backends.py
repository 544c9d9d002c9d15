"""The two sides of the suite: this package's Pub/Sub and Google's emulator, each as a process.

`PubSub` is what a test sees of one: a project of its own, Google's generated clients, REST, and
the few steps that most tests take.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherClient, SchemaServiceClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tests.integration.emulator import running_emulator
from tests.integration.processes import Answer, Process, environment, request, wait_until

SECONDS = 10.0
"""How long a call may take."""
PATIENCE = 8.0
"""How long a test waits for messages; less than the shortest lease, of 10 s."""
SHORT_PATIENCE = 0.3
"""The same where a side is known to differ: it will not come."""
_READY = "ucam-faas emulator ready on 127.0.0.1:"


class Backend:
    """A running Pub/Sub, and clients for it."""

    def __init__(self, port: int) -> None:
        self.port = port
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        transport = SchemaServiceGrpcTransport(channel=self._channel)
        self.schemas = SchemaServiceClient(transport=transport)

    def close(self) -> None:
        """Close the clients."""
        self._channel.close()


@contextmanager
def running_google(folder: Path) -> Iterator[Backend]:
    """Run Google's emulator; skip the test where there is none, but fail it in CI."""
    with running_emulator(folder) as emulator:
        backend = Backend(int(emulator.host.rpartition(":")[2]))
        try:
            yield backend
        finally:
            backend.close()


@contextmanager
def running_ours(folder: Path) -> Iterator[Backend]:
    """Run `ucam-faas emulator`."""
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--host", "127.0.0.1", "--port", "0"]
    process = Process([*command, "--memory"], folder, environment(folder))
    try:
        backend = Backend(wait_until(lambda: _announced_port(process), "the emulator is ready"))
        try:
            yield backend
        finally:
            backend.close()
    finally:
        process.kill()


def _announced_port(process: Process) -> int | None:
    assert process.popen.poll() is None, f"It ended at its start: {process.output}"
    line, end, _ = process.stdout.partition("\n")
    if not end:
        return None
    assert line.startswith(_READY), line
    return int(line.removeprefix(_READY).split()[0])


class PubSub:
    """A backend as one test sees it, in a project of its own."""

    def __init__(self, backend: Backend, *, patience: float) -> None:
        self._backend = backend
        self.patience = patience
        """How many seconds to wait for messages."""
        self.project = f"projects/p-{uuid.uuid4().hex[:12]}"
        self.port = backend.port
        self.subscriber = backend.subscriber
        self._pushing: list[str] = []

    def close(self) -> None:
        """Stop pushes, which would go on after the test."""
        for subscription in self._pushing:
            with suppress(GoogleAPICallError):
                self.call("delete_subscription", subscription=subscription)

    def call(self, method: str, *, seconds: float = SECONDS, **fields: Any) -> Any:
        """Call a method of the Publisher, Subscriber, Schema or IAM service, once."""
        clients = (self._backend.publisher, self.subscriber, self._backend.schemas)
        call = next(getattr(client, method) for client in clients if hasattr(client, method))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The return_immediately flag is deprecated")
            return call(request=fields, retry=None, timeout=seconds)

    def rest(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make a REST request; a body that is not bytes goes as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        kind = {"Content-Type": "application/json"} if data else {}
        path = path if path.startswith("/") else f"/v1/{path}"
        return request(self.port, method, path, data, {**kind, **(headers or {})}, SECONDS)

    def name(self, kind: str, id: str | None = None) -> str:
        """Return the full name of a resource, made up if no id is given."""
        return f"{self.project}/{kind}/{id or 't-' + uuid.uuid4().hex[:12]}"

    def topic(self, **fields: Any) -> str:
        """Create a topic, and return its name."""
        name = fields.pop("name", None) or self.name("topics")
        self.call("create_topic", name=name, **fields)
        return str(name)

    def subscription(self, topic: str | None = None, **fields: Any) -> str:
        """Create a subscription, to a topic of its own if none is given; return its name."""
        name = fields.pop("name", None) or self.name("subscriptions")
        if "push_config" in fields:
            self._pushing.append(name)
        self.call("create_subscription", name=name, topic=topic or self.topic(), **fields)
        return str(name)

    def subscribed_topic(self, **fields: Any) -> tuple[str, str]:
        """Create a topic and a subscription to it."""
        topic = self.topic()
        return topic, self.subscription(topic, **fields)

    def get_subscription(self, name: str) -> Any:
        """Return a subscription."""
        return self.call("get_subscription", subscription=name)

    def publish(
        self, topic: str, *messages: bytes | Mapping[str, Any], seconds: float = SECONDS
    ) -> list[str]:
        """Publish messages in one request, and return their ids."""
        bodies = [
            {"data": message} if isinstance(message, bytes) else message for message in messages
        ]
        answer = self.call("publish", topic=topic, messages=bodies, seconds=seconds)
        return list(answer.message_ids)

    def pull(self, subscription: str, count: int = 1, seconds: float = 0) -> list[Any]:
        """Return this many messages of a subscription, waiting for them; fail if they stay out."""
        seconds = seconds or self.patience
        deadline = time.monotonic() + seconds
        messages: list[Any] = []
        while len(messages) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"{len(messages)} of {count} messages within {seconds:g} s"
            messages += self.pull_now(subscription, wait=left)
        return messages

    def pull_now(self, subscription: str, *, limit: int = 100, wait: float = 0) -> list[Any]:
        """Return the messages that can be delivered; wait so many seconds for the first."""
        fields = {"subscription": subscription, "max_messages": limit}
        try:
            response = self.call(
                "pull", seconds=wait or SECONDS, return_immediately=not wait, **fields
            )
        except GoogleAPICallError as error:
            if wait and code_of(error) == "DEADLINE_EXCEEDED":
                return []
            raise
        return list(response.received_messages)

    def acknowledge(self, subscription: str, *received: Any) -> None:
        """Acknowledge received messages, or ack ids."""
        self.call("acknowledge", subscription=subscription, ack_ids=_ack_ids(received))

    def modify(self, subscription: str, seconds: int, *received: Any) -> None:
        """Set the ack deadline of received messages, or ack ids; 0 is a nack."""
        self.call(
            "modify_ack_deadline",
            subscription=subscription,
            ack_ids=_ack_ids(received),
            ack_deadline_seconds=seconds,
        )


@dataclass
class Refusal:
    """How a call was refused."""

    message: str = ""
    details: Sequence[Any] = ()


@contextmanager
def refused(*codes: str) -> Iterator[Refusal]:
    """Expect that the call in the block is refused: INVALID_ARGUMENT, or one of these codes."""
    codes = codes or ("INVALID_ARGUMENT",)
    refusal = Refusal()
    try:
        yield refusal
    except GoogleAPICallError as error:
        refusal.message, refusal.details = str(error.message), error.details
        if code_of(error) not in codes:
            raise AssertionError(f"refused, but with {error!r}") from error
    else:
        raise AssertionError(f"not refused; expected {' or '.join(codes)}")


def code_of(error: GoogleAPICallError) -> str:
    """Return the name of a refusal's code."""
    code = error.grpc_status_code
    return str(code.name) if code is not None else type(error).__name__


def data_of(received: list[Any]) -> list[bytes]:
    """Return the data of received messages."""
    return [delivery.message.data for delivery in received]


def ids_of(received: list[Any]) -> list[str]:
    """Return the message ids of received messages."""
    return [delivery.message.message_id for delivery in received]


def _ack_ids(received: tuple[Any, ...]) -> list[str]:
    return [message if isinstance(message, str) else message.ack_id for message in received]


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
