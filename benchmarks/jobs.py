"""Jobs: single sends, send_many, draining a backlog to stored results, and idle send to start.

    python benchmarks/jobs.py                      # 3 rounds; about 5 minutes
    python benchmarks/jobs.py --only ours-sqlite --rounds 1 --jobs 2000

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
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the PostgreSQL of the tests

from tests.support import postgresql  # noqa: E402

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
PROJECT = "projects/local"


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
            self._start("worker", self._command("worker", 0))
            return
        source = str(HERE / "job_sides" / "side_ours.py")
        self.environ["PYTHONPATH"] = str(HERE / "job_sides")
        if "worker" in self.name:
            self._start("worker", [sys.executable, "-m", "ucam_faas", "worker", source])
            return
        port = _free_port()
        environ = {"FUNCTION_SOURCE": source, "PORT": str(port), "HOST": "127.0.0.1"}
        environ["UCAM_FAAS_QUEUE"] = "10000"  # `ucam-faas dev` refuses none either
        self.environ |= environ
        self._start("worker", [sys.executable, "-m", "ucam_faas"])
        _wait(port)
        push = {"pushConfig": {"pushEndpoint": f"http://127.0.0.1:{port}/work/inbox"}}
        self._call("POST", "subscriptions/work-inbox:modifyPushConfig", push)

    def _start_pubsub(self) -> None:
        self._pubsub = _free_port()
        arguments = ["emulator", "--port", str(self._pubsub), "--state", str(self.folder / "state")]
        self._start("pubsub", [sys.executable, "-m", "ucam_faas", *arguments])
        _wait(self._pubsub)
        self._call("PUT", "topics/work-inbox", {})
        topic = {"topic": f"{PROJECT}/topics/work-inbox", "ackDeadlineSeconds": 600}
        self._call("PUT", "subscriptions/work-inbox", topic)
        self.environ |= {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self._pubsub}",
            "GOOGLE_CLOUD_PROJECT": "local",
        }
        if "JOBS_POSTGRESQL" in self.environ:
            command = [sys.executable, "-m", "ucam_faas", "jobs", "migrate"]
            subprocess.run(command, env=self.environ, check=True, stdout=subprocess.DEVNULL)

    def _call(self, method: str, path: str, body: dict[str, object]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._pubsub}/v1/{PROJECT}/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=10).close()

    def _start(self, name: str, command: list[str]) -> None:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command, env=self.environ, stdout=log, stderr=log, start_new_session=True
        )
        self._stack.callback(_end, process)

    def _command(self, role: str, count: int) -> list[str]:
        script = str(HERE / "job_sides" / f"side_{self.kind}.py")
        return [_python(self.kind), script, role, str(count)]


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


def _python(kind: str) -> str:
    """Return the interpreter of a side; a peer is installed if it isn't."""
    if kind == "ours":
        return sys.executable
    home = HERE / f".ucam-faas-{kind}"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS[kind]], check=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{kind} can't be installed: {error}") from error
        (home / "installed").touch()
    return str(python)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"port {port} doesn't open")


@contextlib.contextmanager
def _server(needed: bool) -> Iterator[postgresql.Server | None]:
    binaries = postgresql._binaries() if needed else None
    if binaries is None:
        yield None
        return
    with postgresql._folder() as folder:
        server = postgresql.Server(folder, binaries)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def main() -> None:
    """Run the sides in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    sides = options.only.split(",")
    results: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    with _server(any("sqlite" not in side and side != "huey" for side in sides)) as server:
        for _ in range(options.rounds):
            for side in sides:
                url = None
                if "sqlite" not in side:
                    if server is None:
                        raise SystemExit("PostgreSQL isn't installed; see --only")
                    url = server.new_database()
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
