"""Workers of the trials: a Pub/Sub, a job store or none, and the runs over all workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.integration.processes import UCAM_FAAS, wait_until
from tests.trials.running import SECONDS
from tests.worker.processes import PROJECT, PubSub, WorkerProcess, pubsub
from ucam_faas.config import Settings
from ucam_faas.dev.sweeping import sweeping
from ucam_faas.execution.inbox import APP_ATTRIBUTE, JOB_ATTRIBUTE
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.publishing import Draft
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.tasks.topics import DEFAULT_LANE, inbox_of

KILLER = Path(__file__).with_name("killing_worker.py")
SOURCE = Path(__file__).with_name("worker_tasks.py")
AT_ONCE = 500
"""Messages in one call."""


class Trial:
    """A task of `worker_tasks.py`, the Pub/Sub and the store of its workers.

    Args:
        folder: for their files.
        cloud: the Pub/Sub.
        task: the name of the task.
        jobs: the store, as UCAM_FAAS_JOB_STORE has it: messages are wakes of jobs; None: they are
            published to the task's topic.
    """

    def __init__(self, folder: Path, cloud: PubSub, task: str, jobs: str | None) -> None:
        self.folder, self.cloud, self.task = folder, cloud, task
        self.runs_file = folder / "runs"
        self.store = store_of(Settings(job_store=jobs))
        self.environ = {"RUNS": str(self.runs_file), "SOURCE": str(SOURCE)}
        if jobs is not None:
            self.environ["UCAM_FAAS_JOB_STORE"] = jobs
            self.environ["UCAM_FAAS_APP"] = "default"

    @contextmanager
    def worker(
        self, name: str, *arguments: str, host: str | None = None
    ) -> Iterator[WorkerProcess]:
        """Run a worker; `host` is the Pub/Sub for it."""
        process = self.start(name, *arguments, host=host)
        try:
            process.wait_until_it_pulls()
            yield process
        finally:
            process.kill()

    @contextmanager
    def supervised(self) -> Iterator[list[int]]:
        """Run a worker, and another whenever it ends; their exit codes are in the list."""
        stop, ends = threading.Event(), list[int]()

        def supervise() -> None:
            while not stop.is_set():
                process = self.start(f"worker-{len(ends)}")
                while process.popen.poll() is None and not stop.wait(0.05):
                    pass
                ends.append(process.popen.poll() or 0)
                process.kill()

        supervisor = threading.Thread(target=supervise)
        supervisor.start()
        try:
            yield ends
        finally:
            stop.set()
            supervisor.join()

    def kill_at(self, point: str) -> int:
        """Run a worker that kills itself, and return its exit code."""
        environ = {**self._environ, "KILL_AT": point}
        command = [sys.executable, str(KILLER), f"{SOURCE}", self.task]
        with (self.folder / "killed.log").open("ab") as log:
            return subprocess.run(
                command, env=environ, stdout=log, stderr=log, timeout=60, check=False
            ).returncode

    def send(self, orders: Sequence[dict[str, Any]], lane: str = DEFAULT_LANE) -> None:
        """Send orders as jobs, or publish them; the key `key` is their ordering key.

        An order with the key `text` is that text, which the task's type rejects.
        """
        for start in range(0, len(orders), AT_ONCE):
            some = orders[start : start + AT_ONCE]
            keys = [each.get("key", "") for each in some]
            if self.store is None:
                self._publish(
                    self.task,
                    [Draft(_payload(each), {}, key) for each, key in zip(some, keys, strict=True)],
                )
                continue
            rows = [
                Row(
                    key=Key("default", self.task, each["id"]),
                    payload=_payload(each),
                    ordering_key=key,
                    limit_key=key or None,
                    in_order=bool(key),
                    owner="trial",
                    lane=lane,
                    visit=60.0,
                    options={"retention": 86400.0},
                )
                for each, key in zip(some, keys, strict=True)
            ]
            self.store.insert(rows, wait=[0.0] * len(rows))
            wakes = [
                Draft(b"", {JOB_ATTRIBUTE: row.key.id, APP_ATTRIBUTE: "default"}) for row in rows
            ]
            self._publish(inbox_of(self.task, lane), wakes)

    def run(self, *arguments: str) -> None:
        """Run `ucam-faas` to its end."""
        command = [UCAM_FAAS, *arguments]
        environ = self._environ | {"FUNCTION_SOURCE": str(SOURCE)}
        subprocess.run(command, env=environ, cwd=self.folder, check=True, timeout=60)

    def rows(self, count: int) -> list[Row]:
        """Return the rows of all jobs."""
        assert self.store is not None
        return self.store.find("default", task=self.task, limit=count + 1)

    def states(self, count: int) -> Counter[State]:
        """Count the jobs in each state."""
        return Counter(row.state for row in self.rows(count))

    def notes(self, event: str) -> list[dict[str, Any]]:
        """Return the notes of one kind: `began` or `ended`."""
        text = self.runs_file.read_text() if self.runs_file.exists() else ""
        lines = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
        return [line for line in lines if line["event"] == event]

    def runs(self, event: str = "began") -> Counter[str]:
        """Count the runs of each order."""
        return Counter(note["id"] for note in self.notes(event))

    def is_quiet(self) -> bool:
        """Return True if nothing has run for a second."""
        before = self.runs().total()
        threading.Event().wait(1)
        return self.runs().total() == before

    def dead_letters(self) -> list[Any]:
        """Return the dead letters without a job, in the order of publishing."""
        letters: list[Any] = []
        while some := self.cloud.pull(f"{self.task}-dead-letter"):
            letters += [each["message"] for each in some]
        return letters

    def wait(self, count: int) -> None:
        """Wait until all jobs have ended."""

        def all_ended() -> bool:
            threading.Event().wait(0.5)  # reading ten thousand rows takes a while
            states = self.states(count)
            return states.total() == count and all(state.is_completed for state in states)

        wait_until(all_ended, "all jobs have ended", SECONDS)

    def check_ends(self, count: int, lost: int = 0) -> None:
        """Check that all have succeeded with so many lost attempts, and Pub/Sub has no more."""
        assert self.cloud.pull(f"{self.task}-inbox" if self.store else self.task) == []
        assert self.dead_letters() == []
        if self.store is not None:
            self.wait(count)
            assert self.states(count) == {State.SUCCESS: count}
            assert sum(row.attempts for row in self.rows(count)) == lost

    def start(self, name: str, *arguments: str, host: str | None = None) -> WorkerProcess:
        """Start a worker; `host` is the Pub/Sub for it."""
        arguments = ("--lease-seconds", "10", "--target", self.task, *arguments)
        environ = {**self.environ, "PUBSUB_EMULATOR_HOST": host or self.cloud.host}
        return WorkerProcess(self.folder / name, self.cloud, *arguments, **environ)

    @property
    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.environ,
            "PUBSUB_EMULATOR_HOST": self.cloud.host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }

    def _publish(self, topic: str, drafts: list[Draft]) -> None:
        full = f"projects/{PROJECT}/topics/{topic}"
        RestPublisher(self.cloud.host).publish_many(full, drafts)


@contextmanager
def trial(folder: Path, jobs: str | None, task: str = "charge") -> Iterator[Trial]:
    """Run a Pub/Sub with the topics and subscriptions of a task, and a sweep of its jobs."""
    with (
        pubsub(folder / "pubsub", "--state", str(folder / "state")) as cloud,
        _sweeping(jobs, cloud) if jobs else nullcontext(),
    ):
        trial = Trial(folder, cloud, task, jobs)
        with trial.worker("first"):
            pass
        try:
            yield trial
        finally:
            if trial.store is not None:
                trial.store.close()


def _sweeping(jobs: str, cloud: PubSub) -> AbstractContextManager[None]:
    settings = Settings(job_store=jobs, pubsub_emulator=cloud.host, project=PROJECT)
    return sweeping(settings, on_expired=lambda _: None)


def _payload(order: dict[str, Any]) -> bytes:
    text: str = order.get("text") or json.dumps(order)
    return text.encode()
