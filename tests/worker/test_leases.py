"""Leases last as long as a task runs, and end when its worker does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import wait_until
from tests.serving.harness import Held, on_a_loop, settle
from ucam_faas.config import Settings
from ucam_faas.emulator.api import protos
from ucam_faas.testing import ManualClock
from ucam_faas.worker.heartbeat import Heartbeat
from ucam_faas.worker.heartbeat_process import Leases

from .harness import Cloud, cloud, until, working
from .processes import PROJECT, PubSub, WorkerProcess, pubsub, worker
from .test_worker import task

LEASE = 30


class Api:
    """Takes requests, or is down."""

    host = "pubsub"

    def __init__(self) -> None:
        self.requests: list[tuple[str, Sequence[str], int]] = []
        self.is_down = False
        self.status = 200

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        if self.is_down:
            raise ConnectionError("down")
        content = json.loads(body)
        self.requests.append((path, content["ackIds"], content["ackDeadlineSeconds"]))
        return self.status, b"{}"

    def close(self) -> None:
        pass


def make(clock: ManualClock, api: Api, **options: Any) -> Leases:
    sources = [["s/one", 100.0], ["s/two", 1000.0]]
    return Leases({"host": None, "lease": LEASE, "sources": sources}, api, clock)


def beats(leases: Leases, clock: ManualClock, count: int, *, ticks: bool = True) -> None:
    for _ in range(count):
        clock.advance(timedelta(seconds=leases.wait_seconds))
        if ticks:
            leases.read(["done", []])
        leases.beat()


def test_a_lease_is_extended_before_it_ends() -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1, 2], ["a", "b"]])

    beats(leases, clock, 1)
    assert api.requests == []  # many messages have ended by then
    beats(leases, clock, 1)

    assert api.requests == [("/v1/s/one:modifyAckDeadline", ["a", "b"], LEASE)]
    assert clock.monotonic() <= LEASE * 2 / 3


def test_an_answered_message_is_not_extended() -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1, 2], ["a", "b"]])
    leases.read(["done", [1]])

    beats(leases, clock, 2)

    assert api.requests == [("/v1/s/one:modifyAckDeadline", ["b"], LEASE)]


def test_leases_are_extended_for_hours() -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1], ["a"]])

    beats(leases, clock, 5 * 3600 * 3 // LEASE)

    assert len(api.requests) == 5 * 3600 * 3 // LEASE - 1


class Called:
    """Calls the embedded Pub/Sub."""

    host = "pubsub"

    def __init__(self, pubsub: Cloud) -> None:
        self._subscriber = pubsub.emulator.subscriber

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        subscription = path.removeprefix("/v1/").removesuffix(":modifyAckDeadline")
        request = protos.SUBSCRIBER["ModifyAckDeadline"][0]()
        content = {"subscription": subscription, **json.loads(body)}
        self._subscriber.modify_ack_deadline(protos.ParseDict(content, request))
        return 200, b"{}"

    def close(self) -> None:
        pass


@on_a_loop
async def test_a_message_is_delivered_once_in_a_day_and_again_without_its_lease() -> None:
    clock, lease, subscription = ManualClock(), 300, f"projects/{PROJECT}/subscriptions/one"
    async with cloud(clock=clock) as pubsub_:

        async def pull() -> list[Any]:
            await settle()
            request = protos.SUBSCRIBER["Pull"][0](
                subscription=subscription, max_messages=1, return_immediately=True
            )
            answer = await pubsub_.emulator.services.pulling.pull(request)
            return list(answer.received_messages)

        async def pass_time(beats_: int) -> list[Any]:
            """Let time pass from beat to beat, and return the messages that come."""
            messages = []
            for _ in range(beats_):
                clock.advance(timedelta(seconds=leases.wait_seconds))
                leases.read(["done", []])
                leases.beat()
                messages += await pull()
            return messages

        pubsub_.subscribe("one", "one", ackDeadlineSeconds=lease)
        hello = {"host": None, "lease": lease, "sources": [[subscription, 7 * 86_400.0]]}
        leases = Leases(hello, Called(pubsub_), clock)
        pubsub_.publish("one", b"x")
        (message,) = await pull()
        leases.read(["hold", 0, [1], [message.ack_id]])

        assert await pass_time(24 * 3600 * 3 // lease) == []
        leases.read(["done", [1]])
        assert len(await pass_time(4)) == 1


def test_a_frozen_worker_keeps_messages_for_the_timeouts_of_their_tasks() -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1], ["a"]])
    leases.read(["hold", 1, [2], ["b"]])

    beats(leases, clock, 50, ticks=False)

    assert 100 <= 10 * (1 + sum("one" in path for path, _, _ in api.requests)) <= 130
    assert sum("two" in path for path, _, _ in api.requests) == 49


def test_leases_are_tried_again_when_pubsub_does_not_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1], ["a"]])
    api.is_down = True

    beats(leases, clock, 2)
    api.is_down = False
    beats(leases, clock, 1)

    assert len(api.requests) == 1
    assert "ucam_faas_lease_not_extended" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "seconds"), [(503, 5.0), (429, 5.0), (404, 20.0)])
def test_a_request_that_may_succeed_later_is_tried_again_soon(status: int, seconds: float) -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, [1], ["a"]])
    api.status = status

    beats(leases, clock, 2)

    assert leases.wait_seconds == pytest.approx(seconds * LEASE / 60)


def test_the_messages_of_a_killed_worker_are_given_back() -> None:
    api = Api()
    leases = make(ManualClock(), api)
    leases.read(["hold", 0, [1], ["a"]])
    leases.read(["hold", 1, [2], ["b"]])

    leases.give_back()

    assert api.requests == [
        ("/v1/s/one:modifyAckDeadline", ["a"], 0),
        ("/v1/s/two:modifyAckDeadline", ["b"], 0),
    ]


def test_many_leases_are_extended_in_parts() -> None:
    clock, api = ManualClock(), Api()
    leases = make(clock, api)
    leases.read(["hold", 0, list(range(2500)), [str(number) for number in range(2500)]])

    beats(leases, clock, 2)

    assert [len(ids) for _, ids, _ in api.requests] == [1000, 1000, 500]


@on_a_loop
async def test_no_process_is_started_for_a_worker_that_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heartbeat = Heartbeat(Settings(pubsub_emulator="127.0.0.1:1"), [], 60)
    await heartbeat.start()
    process = heartbeat._process
    assert process is not None
    process.kill()
    await until(lambda: "ucam_faas_heartbeat_ended" in caplog.messages, "its end is noticed")

    await heartbeat.end()

    assert heartbeat._process is process


@on_a_loop
async def test_a_worker_that_ends_keeps_the_message_that_runs_from_others() -> None:
    first, second = Held(), Held()
    async with cloud() as pubsub_:
        ending = pubsub_.worker(task(first))
        async with working(ending) as ended:
            pubsub_.publish("task", b"1")
            await until(first.begun.is_set, "it runs")
            ending.stop()
            async with working(pubsub_.worker(task(second), messages_limit=1)) as running:
                await until(lambda: not ending.is_pulling, "it pulls no more")
                first.release.set()
                result = await ended
                second.release.set()
                pubsub_.publish("task", b"2")
                await running

        assert (result.processed, second.seen) == (1, [b"2"])


@pytest.mark.slow
@on_a_loop
async def test_a_message_that_comes_again_while_it_runs_runs_once() -> None:
    """A stream that is opened again brings the messages of the old one."""
    held = Held()
    async with cloud() as pubsub_:
        worker_ = pubsub_.worker(task(held))
        async with working(worker_) as running:
            pubsub_.publish("task", b"1")
            await until(held.begun.is_set, "it runs")
            session = worker_._session
            assert session is not None
            (held_messages,) = filter(None, map(session._held.of, session._sources))
            numbers = [pulled.number for pulled in held_messages.values()]
            for stream in session._streams.values():
                stream._call.cancel()  # the connection is lost
            await until(
                lambda: [p.number for p in held_messages.values()] != numbers, "it comes again"
            )
            held.release.set()
            await until(lambda: not held_messages, "it is answered")
            worker_.stop()
            result = await running

        assert (result.processed, held.seen) == (1, [b"1"])
        assert pubsub_.waiting("task") == 0


@dataclass(frozen=True)
class LongRuns:
    """Workers whose tasks run for longer than a lease, at the same time."""

    pubsub: PubSub
    computing: tuple[WorkerProcess, WorkerProcess]
    """One of them holds the interpreter lock."""
    bereft: WorkerProcess
    """Its heartbeat was killed."""


@pytest.fixture(scope="module")
def long_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongRuns]:
    folder, lease = tmp_path_factory.mktemp("long_runs"), ("--lease-seconds", "10")
    with (
        pubsub(folder / "pubsub") as cloud_,
        worker(folder / "one", cloud_, "--target", "compute", *lease) as first,
        worker(folder / "two", cloud_, "--target", "compute", *lease) as second,
        worker(folder / "three", cloud_, "--target", "charge", *lease) as third,
    ):
        cloud_.publish("compute", id="1", seconds=21)
        cloud_.publish("charge", id="1", seconds=14)
        wait_until(lambda: third.effects("begun"), "it runs")
        children = Path(f"/proc/{third.popen.pid}/task/{third.popen.pid}/children").read_text()
        (heartbeat,) = map(int, children.split())
        os.kill(heartbeat, signal.SIGKILL)
        yield LongRuns(cloud_, (first, second), third)


def end(*processes: WorkerProcess) -> None:
    for process in processes:
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


@pytest.mark.slow
def test_a_task_that_holds_the_interpreter_lock_for_two_leases_runs_once(
    long_runs: LongRuns,
) -> None:
    first, second = long_runs.computing

    wait_until(lambda: first.effects("ended") + second.effects("ended"), "it has ended")
    end(first, second)

    assert len(first.effects("begun") + second.effects("begun")) == 1
    assert long_runs.pubsub.pull("compute") == []


@pytest.mark.slow
def test_a_heartbeat_that_is_killed_is_started_again(long_runs: LongRuns) -> None:
    process = long_runs.bereft

    process.logged("ucam_faas_heartbeat_ended")
    wait_until(lambda: process.effects("ended"), "it has ended")
    end(process)

    assert len(process.effects("begun")) == 1
    assert long_runs.pubsub.pull("charge") == []


@pytest.mark.slow
def test_the_messages_of_a_killed_worker_are_delivered_at_once(tmp_path: Path) -> None:
    arguments = ("--target", "charge", "--lease-seconds", "600")
    with (
        pubsub(tmp_path / "pubsub") as cloud_,
        worker(tmp_path / "one", cloud_, *arguments) as first,
    ):
        cloud_.publish("charge", id="1", seconds=600)
        wait_until(lambda: first.effects("begun"), "it runs")
        with worker(tmp_path / "two", cloud_, *arguments) as second:
            first.signal(signal.SIGKILL)

            wait_until(lambda: second.effects("begun"), "another has it")
