"""Jobs: single sends, send_many, draining a backlog to stored results, and idle send to start.

    python benchmarks/jobs.py                      # 3 rounds; about 5 minutes
    python benchmarks/jobs.py --only ours-sqlite --rounds 1 --jobs 2000
    python benchmarks/jobs.py --soak               # 200,000 by our worker on SQLite, and its memory

The sides alternate, each round on a new database. A side is one sending process and one that works;
ours has its Pub/Sub beside them, as `ucam-faas dev` has. SQLite is written alike on all sides (WAL,
synchronous=NORMAL); PostgreSQL is one private server with its defaults (fsync on). The peers are
installed at the first run, each in a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local import (
    HERE,
    PROJECT,
    free_port,
    postgresql_server,
    process,
    pubsub,
    python_with,
    request,
    resident_mib,
    wait,
)

PEERS = {
    "dbos": ["dbos", "psycopg[binary]"],
    "huey": ["huey"],
    "procrastinate": ["procrastinate", "psycopg[binary]"],
    "pgqueuer": ["pgqueuer[asyncpg]"],
}
SIDES = {
    "ours-sqlite": "ours",
    "ours-worker-sqlite": "ours",
    "dbos-sqlite": "dbos",
    "huey-sqlite": "huey",
    "ours-postgresql": "ours",
    "ours-worker-postgresql": "ours",
    "dbos-postgresql": "dbos",
    "procrastinate": "procrastinate",
    "pgqueuer": "pgqueuer",
}
SOAK_JOBS, SOAK_PARTS = 200_000, 10
INBOX, INBOX_PATH = "act-inbox", "act/inbox"
"""Of the task of our side, which is called `act`."""
SUBSCRIPTION = f"{PROJECT}/subscriptions/{INBOX}"


class Side:
    """One side in one round: its folder, its database, and its processes."""

    def __init__(self, name: str, folder: Path, url: str | None) -> None:
        self.name, self.kind = name, SIDES[name]
        self.folder = folder
        self.environ = {**os.environ, "JOBS_FOLDER": str(folder), "UCAM_FAAS_LOG_LEVEL": "WARNING"}
        if url is not None:
            self.environ["JOBS_POSTGRESQL"] = url
        self.environ["UCAM_FAAS_JOB_STORE"] = url or f"sqlite:{folder}/jobs.db"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Side:
        if self.kind == "ours":
            self._start_pubsub()
        else:
            self.role("prepare", 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def role(self, role: str, count: int) -> dict[str, float]:
        """Play a role to its end, and return its figures."""
        result = subprocess.run(
            self._command(role, count),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if result.returncode:
            raise SystemExit(f"{self.name} {role}: {result.stderr[-3000:]}")
        return json.loads(result.stdout.splitlines()[-1]) if result.stdout.strip() else {}

    def work(self) -> None:
        """Start to work; ours gets its wakes pushed from then on, or pulls them."""
        if self.kind != "ours":
            self._start(self._command("worker", 0))
            return
        source = str(HERE / "job_sides" / "side_ours.py")
        self.environ["PYTHONPATH"] = str(HERE / "job_sides")
        if "worker" in self.name:
            self.worker = self._start([sys.executable, "-m", "ucam_faas", "worker", source])
            return
        self.serve(source)
        self.push()

    def serve(self, source: str) -> None:
        """Serve our task; Pub/Sub doesn't push yet."""
        self.port = free_port()
        self.environ |= {
            "FUNCTION_SOURCE": source,
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "UCAM_FAAS_QUEUE": "10000",  # as `ucam-faas dev`, which refuses no push
        }
        self._start([sys.executable, "-m", "ucam_faas"])
        wait(self.port)

    def push(self) -> None:
        """Have Pub/Sub push the wakes to the served task."""
        push = {"pushConfig": {"pushEndpoint": f"http://127.0.0.1:{self.port}/{INBOX_PATH}"}}
        request(self.pubsub, "POST", f"v1/{SUBSCRIPTION}:modifyPushConfig", push)

    def _start_pubsub(self) -> None:
        state = str(self.folder / "state")
        self.pubsub = self._stack.enter_context(pubsub(self.folder, "--state", state, topic=INBOX))
        self.environ |= {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self.pubsub}",
            "GOOGLE_CLOUD_PROJECT": "local",
        }
        if "JOBS_POSTGRESQL" in self.environ:
            command = [sys.executable, "-m", "ucam_faas", "jobs", "migrate"]
            subprocess.run(command, env=self.environ, check=True, stdout=subprocess.DEVNULL)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / "worker.log"
        return self._stack.enter_context(process(command, log, self.environ))

    def _command(self, role: str, count: int) -> list[str]:
        script = str(HERE / "job_sides" / f"side_{self.kind}.py")
        return [python_of(self.kind), script, role, str(count)]


def measure(
    side: str, jobs: int, url: str | None = None, *, latency: bool = True
) -> dict[str, float]:
    """Measure one side in one round."""
    with tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as name:
        folder = Path(name)
        with Side(side, folder, url) as running:
            figures = {"send_per_s": running.role("send", max(jobs // 10, 100))["per_s"]}
            figures["send_many_per_s"] = running.role("send_many", jobs)["per_s"]
            running.work()
            total = jobs + max(jobs // 10, 100)
            drain = running.role("await", total)
            figures["drain_per_s"] = total / (drain["end"] - drain["first"])
            if latency:
                time.sleep(1)
                figures["latency_p50_ms"] = running.role("latency", 60)["p50_ms"]
    return figures


def soak(jobs: int) -> dict[str, float]:
    """Drain jobs from SQLite by a worker; return its speed, and its memory at tenths of the way."""
    with (
        tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as name,
        Side("ours-worker-sqlite", Path(name), None) as running,
    ):
        for _ in range(SOAK_PARTS):
            running.role("send_many", jobs // SOAK_PARTS)
        running.work()
        figures = {}
        for part in range(1, SOAK_PARTS + 1):
            drain = running.role("await", jobs // SOAK_PARTS * part)
            memory = resident_mib(running.worker.pid)
            figures[f"memory_mib_after_{part * 100 // SOAK_PARTS}%"] = round(memory, 1)
            print(figures, file=sys.stderr, flush=True)
        return {"per_s": round(jobs / (drain["end"] - drain["first"])), **figures}


def python_of(kind: str) -> str:
    """Return the interpreter of a side; a peer is installed at the first run."""
    return sys.executable if kind == "ours" else python_with(kind, PEERS[kind])


def main() -> None:
    """Run the sides in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--soak", action="store_true")
    options = parser.parse_args()
    if options.soak:
        print(json.dumps(soak(SOAK_JOBS)))
        return
    sides = options.only.split(",")
    results: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    is_needed = any("sqlite" not in side for side in sides)
    with postgresql_server() if is_needed else contextlib.nullcontext() as server:
        for _ in range(options.rounds):
            for side in sides:
                url = None if "sqlite" in side else server.new_database()
                results[side].append(measure(side, options.jobs, url))
                print(side, results[side][-1], file=sys.stderr, flush=True)
    for side, rounds in results.items():
        medians = {
            name: round(statistics.median(figures[name] for figures in rounds), 1)
            for name in rounds[0]
        }
        print(json.dumps({"side": side, **medians}))


if __name__ == "__main__":
    main()
