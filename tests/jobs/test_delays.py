"""Delays by a queue of Cloud Tasks: the embedded one, by hand-moved time and in real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.clients.endpoint import running_ours
from tests.integration.processes import Process, environment, request, serving, wait_until
from tests.jobs.runs import row_of
from tests.serving.harness import make_app
from tests.support.delays import create_queue, published, tasks_of
from ucam_faas import ConfigurationError, Retry, State, local_state, message_handler
from ucam_faas.config import Settings
from ucam_faas.dev.env_file import EnvFile
from ucam_faas.dev.options import DevOptions, environment_of
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.jobs.rows import Key, Row, Wake
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.sending.sender import sender
from ucam_faas.serving.app import App
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock
from ucam_faas.testing.pubsub import EmbeddedPubsub

from .runs import wake as deliver_wake

PROJECT = "test-project"
QUEUE = f"projects/{PROJECT}/locations/local/queues/delays"
LATE = timedelta(seconds=0.1)
"""A wake may be so late: clocks differ."""


@message_handler
def charge(data: bytes) -> None:
    """Charge."""


@message_handler
def later(data: bytes) -> None:
    """Run again in two hours."""
    raise Retry("not yet", after=timedelta(hours=2))


class Delays:
    """A process with a queue, and a Pub/Sub that has it."""

    def __init__(self, pubsub: EmbeddedPubsub, clock: ManualClock, store: SqliteStore) -> None:
        self.pubsub = pubsub
        self.clock = clock
        self.store = store
        settings = Settings(
            project=PROJECT, pubsub_emulator=pubsub.host, delay_queue=QUEUE, delay_account="a@b"
        )
        self.runtime = Runtime(settings, clock, connect=publisher_of, store=store)

    def without_queue(self) -> Runtime:
        return replace(self.runtime, settings=replace(self.runtime.settings, delay_queue=None))

    def wakes(self, task: str = "charge") -> list[str]:
        messages = published(self.pubsub, f"{task}-inbox")
        return [message.attributes[inbox.JOB_ATTRIBUTE] for message in messages]

    def tasks(self) -> list[Any]:
        return tasks_of(self.pubsub.host, QUEUE)


@pytest.fixture
def delays(ucam_faas_clock: ManualClock, ucam_faas_pubsub: EmbeddedPubsub) -> Iterator[Delays]:
    for task in ("charge", "later"):
        ucam_faas_pubsub.create_subscription(f"{task}-inbox")
    create_queue(ucam_faas_pubsub.host, QUEUE)
    store = SqliteStore(":memory:", ucam_faas_clock)
    delays = Delays(ucam_faas_pubsub, ucam_faas_clock, store)
    token = runtime.CURRENT.set(delays.runtime)
    yield delays
    runtime.CURRENT.reset(token)
    store.close()


def test_a_job_with_a_delay_is_woken_at_its_time_without_a_sweep(delays: Delays) -> None:
    job = charge.send(b"x", delay=timedelta(hours=1))
    inbox.flush()

    delays.clock.advance(timedelta(hours=1) - timedelta(seconds=0.001))
    assert delays.wakes() == []
    delays.clock.advance(timedelta(seconds=0.001) + LATE)

    assert wait_until(delays.wakes, "the wake") == [job.id]
    assert delays.store.claim(job.key, lease=30, instance="test"), "it is due"


def test_a_job_with_a_time_is_woken_at_it(delays: Delays) -> None:
    job = charge.send(b"x", at=delays.clock.now() + timedelta(days=29))
    inbox.flush()

    delays.clock.advance(timedelta(days=29) + LATE)

    assert wait_until(delays.wakes, "the wake") == [job.id]


def test_the_jobs_of_a_batch_share_a_task(delays: Delays) -> None:
    jobs = charge.send_many([b"x"] * 300, delay=timedelta(hours=1))
    inbox.flush()

    assert len(delays.tasks()) == 1
    delays.clock.advance(timedelta(hours=1) + LATE)
    wakes = wait_until(lambda: delays.wakes() if len(delays.wakes()) == 300 else [], "all wakes")
    assert sorted(wakes) == sorted(job.id for job in jobs)


def test_the_wait_of_a_retry_ends_with_a_wake(delays: Delays) -> None:
    job = later.send(b"x")
    inbox.flush()

    async def run() -> None:
        task = registry.task_of(later)
        assert task is not None
        app = App([task], delays.runtime)
        assert (await deliver_wake(app, "later", job.id)).status == 200

    asyncio.run(run())

    row = row_of(delays.store, job.key)
    assert (row.state, row.attempts) == (State.PENDING, 1)
    (task,) = delays.tasks()
    assert task["scheduleTime"] > task["createTime"]
    first = delays.wakes("later")
    delays.clock.advance(timedelta(hours=2) + LATE)
    wait_until(lambda: len(delays.wakes("later")) == len(first) + 1, "the wake of the retry")


def test_delays_that_gather_keep_their_times(delays: Delays) -> None:
    with inbox._GATHERED._publishing:  # the thread waits
        late = charge.send(b"x", delay=timedelta(hours=2))
        soon = charge.send(b"x", delay=timedelta(hours=1))
        now = charge.send(b"x")
    inbox.flush()

    assert delays.wakes() == [now.id]
    for job in (soon, late):
        delays.clock.advance(timedelta(hours=1) + LATE)
        wait_until(lambda: delays.wakes()[-1] == job.id, "the wake")  # noqa: B023  # at once
    assert len(delays.wakes()) == 3


def test_a_delay_of_more_than_30_days_is_the_sweeps(
    delays: Delays, caplog: pytest.LogCaptureFixture
) -> None:
    job = charge.send(b"x", delay=timedelta(days=30))
    inbox.flush()

    assert (delays.tasks(), caplog.records) == ([], [])
    delays.clock.advance(timedelta(days=30))
    woken: list[Any] = []
    sweep(delays.store, "default", woken.extend)
    assert woken == [Wake(job.key)]


def test_without_a_queue_a_delay_is_the_sweeps(delays: Delays) -> None:
    runtime.CURRENT.set(delays.without_queue())

    charge.send(b"x", delay=timedelta(hours=1))
    inbox.flush()

    assert delays.tasks() == []


def test_a_queue_that_fails_is_logged_and_the_job_is_the_sweeps(
    delays: Delays, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(delays.runtime.settings, delay_queue=f"{QUEUE}-none")
    runtime.CURRENT.set(replace(delays.runtime, settings=settings))

    with caplog.at_level(logging.ERROR, "ucam_faas"):
        job = charge.send(b"x", delay=timedelta(hours=1))
        inbox.flush()

    (record,) = caplog.records
    assert record.getMessage() == "ucam_faas_wake_failed"
    assert "Queue does not exist" in str(record.exc_info)
    delays.clock.advance(timedelta(hours=1))
    woken: list[Any] = []
    sweep(delays.store, "default", woken.extend)
    assert woken == [Wake(job.key)]


def test_a_queue_that_does_not_answer_is_asked_once_for_all_that_gathered(
    delays: Delays, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call may take the whole timeout, and an answer to a delivery waits for all of them."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nowhere = "{}:{}".format(*listener.getsockname())
    settings = replace(delays.runtime.settings, pubsub_emulator=nowhere)
    runtime.CURRENT.set(replace(delays.runtime, settings=settings))

    with caplog.at_level(logging.ERROR, "ucam_faas"), inbox._GATHERED._publishing:
        for hours in (1, 2, 3):
            charge.send(b"x", delay=timedelta(hours=hours))
    inbox.flush()

    assert [record.getMessage() for record in caplog.records] == ["ucam_faas_wake_failed"]


def test_a_wrong_name_of_a_queue_is_an_error_before_anything_is_stored(delays: Delays) -> None:
    settings = replace(delays.runtime.settings, delay_queue="delays")
    runtime.CURRENT.set(replace(delays.runtime, settings=settings))

    with pytest.raises(ConfigurationError, match="UCAM_FAAS_DELAY_QUEUE is 'delays'"):
        charge.send(b"x", delay=timedelta(hours=1))

    assert delays.store.find("default") == []


def test_a_server_does_not_start_with_a_wrong_name_of_a_queue() -> None:
    with pytest.raises(ConfigurationError, match="UCAM_FAAS_DELAY_QUEUE"):
        runtime.build(Settings(delay_queue="delays", pubsub_emulator="127.0.0.1:1"), [])


@pytest.mark.parametrize(
    ("early", "state"), [(0.9, State.SUCCESS), (60.0, State.PENDING)], ids=["a moment", "long"]
)
def test_a_wake_that_is_a_moment_early_waits_for_the_time_of_the_job(
    early: float, state: State, clock: ManualClock
) -> None:
    """The clock of Cloud Tasks may be ahead of the store's, whose time counts."""
    store = SqliteStore(":memory:", clock)
    key = Key("default", "charge", "1")
    store.insert([Row(key=key, payload=b"x", visit=60.0)], wait=[early])

    async def run() -> int:
        app = make_app(charge, clock=clock, store=store)
        return (await deliver_wake(app, "charge", "1")).status

    assert asyncio.run(run()) == 200
    row = row_of(store, key)
    assert row.state is state
    claims = [entry.time for entry in row.history if entry.cause == "claimed"]
    assert all(time >= row.due for time in claims)
    store.close()


def test_a_sender_beside_dev_has_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep of `ucam-faas dev` is as exact, and its emulator doesn't have the queue."""
    here = Runtime(Settings(delay_queue=QUEUE), ManualClock(), connect=publisher_of)
    monkeypatch.setattr(runtime, "of_environment", lambda: here)
    monkeypatch.chdir(tmp_path)
    cloud = local_state.LocalCloud(pubsub="127.0.0.1:1", project="p", jobs="memory")
    with local_state.held(tmp_path):
        local_state.write(tmp_path, cloud)

        assert sender().delays() is None


def test_the_tasks_of_dev_have_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCAM_FAAS_DELAY_QUEUE", QUEUE)
    options = DevOptions(
        sources=("main.py",), target=None, host="127.0.0.1", port=0, pubsub_port=0, project="p",
        external=None, state=None, reset=False, env_file=EnvFile(Path(".env"), {}),
    )  # fmt: skip

    environ = environment_of(options, "127.0.0.1:1")

    assert Settings.from_environ(environ).delay_queue is None


# -- real processes -------------------------------------------------------------------------------

TASKS = """
import time
from datetime import timedelta
import ucam_faas

@ucam_faas.message_handler(retry=ucam_faas.RetryPolicy(max_attempts=3, backoff=lambda n: 1.0))
def charge(data: bytes) -> float:
    if ucam_faas.current_job().attempt < 2:
        raise RuntimeError("not yet")
    return time.time()
"""
SEND = """
import sys, time
from datetime import timedelta
from main import charge
job = charge.send(b"x", delay=timedelta(seconds=1))
begin = time.time()
print(job.result(timeout=30) - begin)
"""


@pytest.mark.slow
def test_delays_and_retries_need_no_sweep_in_real_processes(tmp_path: Path) -> None:
    """A second of delay and a second of backoff: on an idle machine it ends after 2.3 s."""
    (tmp_path / "main.py").write_text(TASKS)
    with running_ours(tmp_path, "--memory") as host:
        create_queue(host, QUEUE)
        environ = {
            "PUBSUB_EMULATOR_HOST": host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "UCAM_FAAS_JOB_STORE": f"sqlite:{tmp_path}/jobs.db",
            "UCAM_FAAS_DELAY_QUEUE": QUEUE,
            "FUNCTION_SOURCE": "main.py",
        }
        with serving(folder=tmp_path, **environ) as server:
            create_inbox(host, server.port)
            folder = tmp_path / "sender"
            environ = environment(folder, PYTHONPATH=str(tmp_path), **environ)
            sending = Process([sys.executable, "-c", SEND], folder, environ)
            try:
                assert sending.wait() == 0, (sending.output, server.output)
            finally:
                sending.kill()
            assert float(sending.stdout) > 1.95


def create_inbox(host: str, port: int) -> None:
    api = int(host.rpartition(":")[2])
    topic = f"projects/{PROJECT}/topics/charge-inbox"
    push = {"pushEndpoint": f"http://127.0.0.1:{port}/charge/inbox"}
    body = json.dumps({"topic": topic, "pushConfig": push}).encode()
    assert request(api, "PUT", f"/v1/{topic}", b"{}").status == 200
    name = f"projects/{PROJECT}/subscriptions/charge-inbox"
    assert request(api, "PUT", f"/v1/{name}", body).status == 200
