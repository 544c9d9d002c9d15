"""Compare the simulation with a real run: the emulator, a served task, SQLite or PostgreSQL.

    python benchmarks/validate.py                    # a minute or two; needs PostgreSQL's initdb
    python benchmarks/validate.py --record           # and write simulation/recorded/validation.json

Of the real run, the simulation gets the length of one attempt, measured on the idle server, and
when the store was down. It predicts how long the backlog takes to drain.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from jobs import INBOX_PATH, SUBSCRIPTION, Side
from local import postgresql_server, request
from simulation.assumptions import Assumptions
from simulation.sleeping_task import RETRY
from simulation.tables import record, validation
from simulation.world import World

from ucam_faas.emulator.push.pusher import LAST_WINDOW
from ucam_faas.tasks.topics import MAX_INBOX_BACKOFF_SECONDS, MIN_INBOX_BACKOFF_SECONDS

SOURCE = Path(__file__).parent / "simulation/sleeping_task.py"
QUEUES = "projects/local/locations/here/queues"
THREADS = 8
PROBES = 50
SHARE = 0.99
"""Of the jobs; when the last one ends depends on how often that one fails."""


class Case(NamedTuple):
    """A backlog that is drained.

    Args:
        store: "sqlite" or "postgresql".
        jobs: how many.
        failing: the share of attempts that fail.
        outage: when the store is stopped, and for how long, in seconds; None: never.
    """

    store: str
    jobs: int = 2000
    failing: float = 0.0
    outage: tuple[float, float] | None = None


CASES = {
    "SQLite": Case("sqlite"),
    "SQLite, 10 % of attempts fail": Case("sqlite", failing=0.1),
    "PostgreSQL": Case("postgresql"),
    "PostgreSQL, stopped for 20 s": Case("postgresql", outage=(4.0, 20.0)),
}


class Measured(NamedTuple):
    """A real run, in seconds."""

    attempt: float
    without_effect: float
    drain: float
    outage: tuple[float, float] | None


class Sleeping(Side):
    """The served task, the emulator beside it, and a backlog."""

    def start(self, failing: float) -> None:
        """Serve the task; nothing is pushed yet."""
        self.environ |= {
            "THREADS": str(THREADS),
            "UCAM_FAAS_DELAY_QUEUE": f"{QUEUES}/delays",
            "FAILING": str(failing),
        }
        request(self.pubsub, "POST", f"v2/{QUEUES}", {"name": f"{QUEUES}/delays"})
        backoffs = {
            "minimumBackoff": f"{MIN_INBOX_BACKOFF_SECONDS}s",
            "maximumBackoff": f"{MAX_INBOX_BACKOFF_SECONDS}s",
        }
        subscription = {"name": SUBSCRIPTION, "retryPolicy": backoffs}
        body = {"subscription": subscription, "updateMask": "retryPolicy"}
        request(self.pubsub, "PATCH", f"v1/{SUBSCRIPTION}", body)
        self.serve(str(SOURCE))

    def send(self, jobs: int) -> None:
        """Send jobs in one call."""
        code = f"from sleeping_task import act; act.send_many(range({jobs}))"
        self._run(code)

    def wake(self, job: str) -> float:
        """Deliver a wake past the emulator, and return the seconds until its answer."""
        attributes = {"ucam_faas_job": job, "ucam_faas_app": "ucam-faas"}
        message = {"messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "data": ""}
        body = {"message": {**message, "attributes": attributes}, "subscription": "s"}
        began = time.perf_counter()
        request(self.port, "POST", INBOX_PATH, body)
        return time.perf_counter() - began

    def _run(self, code: str) -> None:
        environ = {**self.environ, "PYTHONPATH": str(SOURCE.parent)}
        subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=120)


def measure(case: Case) -> Measured:
    """Drain a backlog for real."""
    needed = postgresql_server() if case.store == "postgresql" else nullcontext()
    with needed as server, _side(case, server) as side:
        connection = Database(side.environ["UCAM_FAAS_JOB_STORE"])
        side.start(case.failing)
        side.send(PROBES)
        jobs = connection.ids()
        attempts = [side.wake(job) for job in jobs]
        idle = [side.wake(job) for job in jobs]
        done = connection.ended() or 0
        side.send(case.jobs)
        began = time.perf_counter()
        side.push()
        outage: list[float] = []
        if case.outage is not None:
            thread = threading.Thread(target=_stop, args=(server, case.outage, began, outage))
            thread.start()
        while (ended := connection.ended()) is None or ended < done + SHARE * case.jobs:
            time.sleep(0.02)
            if time.perf_counter() - began > 300:
                raise SystemExit(f"{case}: {ended} jobs ended, {done} of them before")
        drain = time.perf_counter() - began
    return Measured(
        statistics.median(attempts),
        statistics.median(idle),
        drain,
        (outage[0], outage[1]) if outage else None,
    )


def _stop(server: Any, outage: tuple[float, float], began: float, times: list[float]) -> None:
    time.sleep(outage[0])
    times.append(time.perf_counter() - began)
    server.abandon()
    time.sleep(outage[1])
    server.start()
    times.append(time.perf_counter() - began)


@contextmanager
def _side(case: Case, server: Any) -> Iterator[Sleeping]:
    url = server.new_database() if server is not None else None
    with (
        tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as name,
        Sleeping(f"ours-{case.store}", Path(name), url) as side,
    ):
        yield side


class Database:
    """The rows of a store, read past it."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._connection: Any = None

    def ids(self) -> list[str]:
        """Return the ids of all jobs."""
        return [row[0] for row in self._query("SELECT id FROM ucam_faas_jobs")]

    def ended(self) -> int | None:
        """Return the number of jobs that have ended; None: the store is down."""
        with suppress(Exception):
            query = "SELECT count(*) FROM ucam_faas_jobs WHERE state IN ('SUCCESS', 'FAILURE')"
            return int(self._query(query)[0][0])
        self._connection = None
        return None

    def _query(self, query: str) -> list[Any]:
        if self._connection is None:
            if self._store.startswith("sqlite:"):
                import sqlite3

                path = self._store.removeprefix("sqlite:")
                self._connection = sqlite3.connect(path, timeout=30)
            else:
                import psycopg

                self._connection = psycopg.connect(self._store, autocommit=True)
        return list(self._connection.execute(query).fetchall())


def predict(case: Case, measured: Measured) -> float:
    """Return the seconds that the simulation expects."""
    world = World(
        Assumptions(
            jobs=0,
            day=1.0,
            burst=0.0,
            run_seconds=((1.0, measured.attempt),),
            without_effect=measured.without_effect,
            failing=case.failing,
            lost_wakes=0.0,
            lost_runs=0.0,
            retry=RETRY,
            max_instances=1,
            concurrency=THREADS,
            cold_start=0.0,
            pending=1e9,  # the process has a queue
            push_window=LAST_WINDOW,
            outage=measured.outage,
            refusal=0.01,
            sweep_period=0.0,
            removals_per_second=0.0,
            tick=0.005,
        )
    )
    world.add(case.jobs)
    return world.run(longest=600.0).latency(SHARE)


def main() -> None:
    """Measure and predict each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    figures = {}
    for name, case in CASES.items():
        if options.only in name:
            measured = measure(case)
            figures[name] = {
                "attempt": measured.attempt,
                "without_effect": measured.without_effect,
                "measured": measured.drain,
                "predicted": predict(case, measured),
            }
            print(name, measured, figures[name], file=sys.stderr, flush=True)
    print(validation(figures))
    if options.record:
        record("validation", figures)


if __name__ == "__main__":
    main()
