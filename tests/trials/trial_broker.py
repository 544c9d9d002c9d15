"""`send_many` while a real `ucam-faas emulator` is killed: an exact list of the rest."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.dev.cloud import environ_of
from tests.integration.processes import UCAM_FAAS, Process, request, wait_until
from tests.support.postgresql import Server
from ucam_faas import BatchSendError, Job, PublishError, message_handler
from ucam_faas.config import Settings
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS, sweep
from ucam_faas.publishing import Draft
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.testing import ManualClock

COUNT, BATCH = 10_000, 1_000
FATAL_BATCH = 6
INVALID = (17, 4_711, 9_999)
TOPIC, SUBSCRIPTION = "projects/local/topics/charge-inbox", "projects/local/subscriptions/all"


class Order(BaseModel):
    """An order."""

    id: int


@message_handler
def charge(order: Order) -> None:
    """Do nothing: only its inbox matters."""


class Broker:
    """An emulator that keeps its state when it is killed, and starts again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self.start()
        self._call("PUT", TOPIC, {})
        self._call("PUT", SUBSCRIPTION, {"topic": TOPIC, "ackDeadlineSeconds": 600})

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [UCAM_FAAS, "emulator", "--port", str(self.port)]
        self._process = process = Process(command, self._folder, environ_of(self._folder))
        line = wait_until(lambda: re.search(r"127\.0\.0\.1:(\d+)", process.stdout), "it is ready")
        self.port = int(line[1])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.popen.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that it has, and that weren't returned before."""
        messages = []
        body = {"maxMessages": BATCH, "returnImmediately": True}
        while some := self._call("POST", f"{SUBSCRIPTION}:pull", body).get("receivedMessages"):
            messages += [delivery["message"] for delivery in some]
        return messages

    def _call(self, method: str, path: str, body: Any) -> Any:
        answer = request(self.port, method, f"/v1/{path}", json.dumps(body).encode())
        assert answer.status == 200, answer
        return json.loads(answer.body)


class FatalPublisher(RestPublisher):
    """Publishes to a broker, to which something happens at the sixth batch."""

    def __init__(self, broker: Broker, act: Callable[[], object]) -> None:
        super().__init__(f"127.0.0.1:{broker.port}")
        self.act = act
        self.calls: list[int] = []

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages."""
        self.calls.append(len(drafts))
        if len(self.calls) == FATAL_BATCH:
            self.act()
        return super().publish_many(topic, drafts, timeout_seconds=timeout_seconds)


class DeafPublisher(FatalPublisher):
    """Doesn't hear the answer to the sixth batch, which the broker has."""

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages."""
        act, self.act = self.act, bool
        ids = super().publish_many(topic, drafts, timeout_seconds=timeout_seconds)
        self.act = act
        if len(self.calls) == FATAL_BATCH:
            act()
            raise PublishError(f"{self.host} does not answer")
        return ids


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.kill()


@pytest.fixture(params=["before a batch", "with a batch on its way"])
def publisher(request: pytest.FixtureRequest, broker: Broker) -> Iterator[FatalPublisher]:
    """Publishes until the broker is killed."""
    timer = threading.Timer(0.2, broker.kill)

    def stop_and_kill() -> None:
        broker.signal(signal.SIGSTOP)
        timer.start()

    yield FatalPublisher(broker, stop_and_kill if "way" in request.param else broker.kill)
    timer.cancel()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "sqlite":
        store: Any = SqliteStore(str(tmp_path / "jobs.db"), clock)
    else:
        server: Server = request.getfixturevalue("postgresql")
        store = PostgresqlStore(server.new_database(), clock)
        store.migrate()
    yield store
    store.close()


@pytest.fixture
def payloads() -> list[Any]:
    orders: list[Any] = [Order(id=number) for number in range(COUNT)]
    for number in INVALID:
        orders[number] = {"id": "not a number"}
    return orders


@pytest.fixture(autouse=True)
def _no_runtime() -> Iterator[None]:
    token = runtime.CURRENT.set(None)
    yield
    runtime.CURRENT.reset(token)


def use(publisher: RestPublisher, store: JobStore | None = None) -> Runtime:
    """Let this process send through them."""
    here = Runtime(Settings(project="local"), ManualClock(), publisher, store=store)
    runtime.CURRENT.set(here)
    return here


def send(payloads: Sequence[Any], **options: Any) -> tuple[list[Job[Any]], list[Any]]:
    """Send jobs, and return those that were sent, and the failures."""
    try:
        return charge.send_many(payloads, **options), []
    except BatchSendError as error:
        return list(error.jobs), list(error.failed)


def test_without_a_store_the_payloads_that_failed_are_those_that_the_broker_lacks(
    broker: Broker, publisher: FatalPublisher, payloads: list[Any]
) -> None:
    use(publisher)

    sent, failed = send(payloads)
    broker.start()
    there = [json.loads(base64.b64decode(message["data"]))["id"] for message in broker.messages()]
    left = [failure for failure in failed if isinstance(failure.error, PublishError)]
    _, failed_again = send([failure.payload for failure in left])
    there_again = broker.messages()

    published = (FATAL_BATCH - 1) * BATCH
    valid = [number for number in range(COUNT) if number not in INVALID]
    assert len(sent) == published
    assert sorted(there) == valid[:published]
    assert [failure.index for failure in left] == valid[published:]
    assert sorted({failure.index for failure in failed} - set(valid)) == [*INVALID]
    assert [failure.payload for failure in left] == [payloads[failure.index] for failure in left]
    assert (len(failed_again), len(there_again)) == (0, COUNT - len(INVALID) - published)


def test_without_a_store_a_batch_whose_answer_was_lost_is_among_the_failures(
    broker: Broker, payloads: list[Any]
) -> None:
    use(publisher := DeafPublisher(broker, broker.kill))

    _, failed = send(payloads)
    broker.start()
    publisher.calls.clear()
    send([failure.payload for failure in failed if isinstance(failure.error, PublishError)])
    there = Counter(message["data"] for message in broker.messages())

    assert len(there) == COUNT - len(INVALID)
    assert Counter(there.values()) == {1: len(there) - BATCH, 2: BATCH}


def test_with_a_store_only_the_invalid_failed_and_the_same_call_again_sends_them_alone(
    broker: Broker,
    publisher: FatalPublisher,
    store: JobStore,
    clock: ManualClock,
    payloads: list[Any],
) -> None:
    def id_of(order: Order) -> int:
        return order.id

    here = use(publisher, store)

    sent, failed = send(payloads, id=id_of)
    broker.start()
    woken = Counter(message["attributes"][inbox.JOB_ATTRIBUTE] for message in broker.messages())
    calls = len(publisher.calls)
    for number in INVALID:
        payloads[number] = Order(id=number)
    again, failed_again = send(payloads, id=id_of)
    clock.advance(AGAIN_SECONDS)
    while sweep(store, "default", lambda wakes: inbox.wake(here, wakes)):
        pass
    woken.update(message["attributes"][inbox.JOB_ATTRIBUTE] for message in broker.messages())

    assert [failure.index for failure in failed] == [*INVALID]
    assert all(isinstance(failure.error, ValueError) for failure in failed)
    assert len(sent) == COUNT - len(INVALID)
    assert failed_again == []
    assert [job.id for job in again] == [str(number) for number in range(COUNT)]
    assert sum(publisher.calls[calls : calls + len(INVALID)]) == len(INVALID)
    assert set(woken) == {job.id for job in again}
