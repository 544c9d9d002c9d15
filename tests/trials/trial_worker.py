"""Workers are killed, stopped and cut off: nothing is lost, and no attempt is beyond the limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, wait_until
from tests.trials.killing_worker import POINTS
from tests.trials.running import SECONDS
from tests.worker.processes import PROJECT, PubSub, WorkerProcess, pubsub, worker
from ucam_faas.clock import SystemClock
from ucam_faas.execution.inbox import APP_ATTRIBUTE, JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing import Draft
from ucam_faas.publishing.rest import RestPublisher

KILLER = Path(__file__).with_name("killing_worker.py")
CODE = """
import json
import os
import time
from datetime import timedelta

import ucam_faas
from pydantic import BaseModel


class Order(BaseModel):
    id: str
    seconds: float = 0
    poison: bool = False


AT_ONCE = ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0))


@ucam_faas.message_handler(timeout=timedelta(seconds=TIMEOUT), retry=AT_ONCE)
def charge(order: Order) -> str:
    with open(os.environ["RUNS"], "a") as file:
        file.write(f"{order.id}\\n")
    if os.environ.get("KILL_AT") == "while it runs":
        os.kill(os.getpid(), 9)
    if order.poison:
        os._exit(1)
    time.sleep(order.seconds)
    return order.id
"""


class Trial:
    """A Pub/Sub, a store and the runs of a task, over all workers."""

    def __init__(self, folder: Path, cloud: PubSub, *, timeout: float) -> None:
        self.folder, self.cloud = folder, cloud
        self.source = folder / "tasks.py"
        self.source.write_text(CODE.replace("TIMEOUT", str(timeout)))
        self.runs_file = folder / "runs"
        self.store = SqliteStore(f"{folder}/jobs.db", SystemClock())
        self.environ = {
            "RUNS": str(self.runs_file),
            "SOURCE": str(self.source),
            "UCAM_FAAS_JOB_STORE": f"sqlite:{folder}/jobs.db",
            "UCAM_FAAS_APP": "default",
        }

    @contextmanager
    def worker(self, name: str) -> Iterator[WorkerProcess]:
        arguments = ("--lease-seconds", "10")
        with worker(self.folder / name, self.cloud, *arguments, **self.environ) as process:
            yield process

    def kill_at(self, point: str) -> int:
        """Run a worker that kills itself, and return its exit code."""
        environ = {
            **os.environ,
            **self.environ,
            "PUBSUB_EMULATOR_HOST": self.cloud.host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "KILL_AT": point,
        }
        command = [sys.executable, str(KILLER), str(self.source)]
        with (self.folder / "killed.log").open("ab") as log:
            return subprocess.run(
                command, env=environ, stdout=log, stderr=log, timeout=60, check=False
            ).returncode

    def send(self, orders: list[str], first: int = 0) -> None:
        """Insert jobs with payloads, and wake them; their ids are numbers."""
        for start in range(0, len(orders), 500):
            some = orders[start : start + 500]
            rows = [
                Row(
                    key=Key("default", "charge", str(first + start + number)),
                    payload=payload.encode(),
                    owner="trial",
                    visit=60.0,
                    options={"retention": 86400.0},
                )
                for number, payload in enumerate(some)
            ]
            self.store.insert(rows, wait=[0.0] * len(rows))
            drafts = [
                Draft(b"", {JOB_ATTRIBUTE: row.key.id, APP_ATTRIBUTE: "default"}) for row in rows
            ]
            RestPublisher(self.cloud.host).publish_many(
                f"projects/{PROJECT}/topics/charge-inbox", drafts
            )

    def sweep(self) -> None:
        environ = {
            **os.environ,
            **self.environ,
            "PUBSUB_EMULATOR_HOST": self.cloud.host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }
        subprocess.run(
            [UCAM_FAAS, "sweep"], env=environ, cwd=self.folder, check=True, capture_output=True
        )

    def states(self, count: int) -> Counter[State]:
        rows = self.store.find("default", task="charge", limit=count + 1)
        return Counter(row.state for row in rows)

    def runs(self) -> Counter[str]:
        text = self.runs_file.read_text() if self.runs_file.exists() else ""
        return Counter(text.split())

    def is_quiet(self) -> bool:
        """Return True if nothing has run for a second."""
        before = self.runs().total()
        threading.Event().wait(1)
        return self.runs().total() == before

    def wait(self, count: int) -> None:
        """Sweep until all jobs have ended."""

        def all_ended() -> bool:
            self.sweep()
            states = self.states(count)
            return states.total() == count and all(state.is_completed for state in states)

        wait_until(all_ended, "all jobs have ended", SECONDS)


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with pubsub(tmp_path / "pubsub", "--state", str(tmp_path / "state")) as cloud:
        trial = Trial(tmp_path, cloud, timeout=2)
        # Its topics and subscriptions are there before anything is sent.
        with trial.worker("first"):
            pass
        yield trial


def order(id: int, **fields: object) -> str:
    return json.dumps({"id": str(id), **fields})


def test_a_worker_is_killed_at_every_point(trial: Trial) -> None:
    points = [*POINTS, "while it runs"]
    codes = []
    for number, point in enumerate(points):
        trial.send([order(number)], first=number)
        codes.append(trial.kill_at(point))
    with trial.worker("last"):
        trial.wait(len(points))

    assert codes == [-signal.SIGKILL] * len(points)
    assert trial.states(len(points)) == {State.SUCCESS: len(points)}
    rows = trial.store.find("default", task="charge", limit=100)
    assert max(row.attempts for row in rows) < 8
    assert set(trial.runs()) == {str(number) for number in range(len(points))}
    assert trial.cloud.pull("charge-inbox") == []


def test_a_worker_that_is_killed_loses_no_message_without_a_job(trial: Trial) -> None:
    trial.environ.pop("UCAM_FAAS_JOB_STORE")
    points = [point for point in POINTS if "stored" not in point]
    orders: list[dict[str, object]] = [{"id": str(number)} for number in range(20)]
    trial.cloud.publish_many("charge", orders)

    codes = [trial.kill_at(point) for point in ["while it runs", *points]]
    with trial.worker("last"):
        wait_until(lambda: len(trial.runs()) == len(orders), "all have run", SECONDS)

    assert set(codes) == {-signal.SIGKILL}
    assert max(trial.runs().values()) <= len(codes) + 1


def test_a_worker_is_stopped_for_longer_than_a_lease(trial: Trial) -> None:
    with trial.worker("frozen") as frozen:
        trial.send([order(0, seconds=1)])
        wait_until(lambda: trial.runs(), "it runs")
        frozen.signal(signal.SIGSTOP)
        with trial.worker("other") as other:
            trial.wait(1)
            frozen.signal(signal.SIGCONT)
            for process in (frozen, other):
                process.signal(signal.SIGTERM)
                assert process.wait() == 0

    (row,) = trial.store.find("default", task="charge", limit=2)
    assert (row.state, trial.runs()["0"]) == (State.SUCCESS, 2)
    assert trial.cloud.pull("charge-inbox") == []


def test_the_connection_is_cut(trial: Trial) -> None:
    folder, port = trial.folder, trial.cloud.port
    with trial.worker("worker"):
        trial.send([order(number, seconds=0.2) for number in range(200)])
        wait_until(lambda: len(trial.runs()) > 20, "they run")
        trial.cloud.kill()
        wait_until(lambda: trial.is_quiet(), "what was pulled has run")
        trial.cloud = PubSub(folder / "pubsub-again", "--state", str(folder / "state"), port=port)
        try:
            trial.wait(200)
        finally:
            trial.cloud.kill()

    assert trial.states(200) == {State.SUCCESS: 200}
    assert max(trial.runs().values()) == 1


def test_one_job_of_ten_thousand_ends_processes(trial: Trial) -> None:
    count = 10_000
    orders = [order(number, poison=number == count // 2) for number in range(count)]
    trial.send(orders)
    stop = trial.folder / "stop"
    ends: list[int] = []

    def supervise() -> None:
        while not stop.exists():
            with trial.worker(f"worker-{len(ends)}") as process:
                wait_until(lambda: process.popen.poll() is not None or stop.exists(), "", SECONDS)
                ends.append(process.popen.poll() or 0)

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        trial.wait(count)
    finally:
        stop.touch()
        supervisor.join()

    assert trial.states(count) == {State.SUCCESS: count - 1, State.FAILURE: 1}
    runs = trial.runs()
    assert runs[str(count // 2)] <= 8
    assert len(runs) == count
