"""The processes of the benchmarks: our Pub/Sub, PostgreSQL, and the Python of each peer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.postgresql import Server

HERE = Path(__file__).parent
PROJECT = "projects/local"
sys.path.insert(0, str(HERE.parent))  # the PostgreSQL of the tests


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait(port: int) -> None:
    """Wait until a process listens on a port."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"port {port} doesn't open")


def request(port: int, method: str, path: str, body: Mapping[str, Any]) -> None:
    """Send a request with JSON; an answer other than 2xx raises `urllib.error.HTTPError`."""
    message = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    urllib.request.urlopen(message, timeout=30).close()


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, whose output goes to a file; at the end of the block, end its group."""
    with log.open("wb") as file:
        started = subprocess.Popen(
            command, env=environ, stdout=file, stderr=file, start_new_session=True
        )
        try:
            yield started
        finally:
            _end(started)


def _end(started: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGTERM)
    try:
        started.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def resident_mib(pid: int) -> float:
    """Return the memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextlib.contextmanager
def pubsub(folder: Path, *options: str, topic: str) -> Iterator[int]:
    """Run our Pub/Sub with a topic and a subscription of the same name, and yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--port", str(port), *options]
    with process(command, folder / "pubsub.log") as started:
        wait(port)
        if started.poll() is not None:
            raise SystemExit(f"another process has taken port {port}: start again")
        request(port, "PUT", f"v1/{PROJECT}/topics/{topic}", {})
        subscription = {"topic": f"{PROJECT}/topics/{topic}", "ackDeadlineSeconds": 600}
        request(port, "PUT", f"v1/{PROJECT}/subscriptions/{topic}", subscription)
        yield port


@contextlib.contextmanager
def postgresql_server() -> Iterator[Server]:
    """Run a private PostgreSQL server with its defaults (fsync on)."""
    from tests.support import postgresql

    binaries = postgresql.find_binaries()
    if binaries is None:
        raise SystemExit(f"{postgresql.MISSING}: apt-get install postgresql")
    with postgresql.running(binaries, fsync=True) as server:
        yield server


def python_with(peer: str, packages: Sequence[str]) -> str:
    """Return the interpreter of a peer's virtual environment, which is made at the first run."""
    home = HERE / f".ucam-faas-{peer}"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{peer} can't be installed: {error}") from error
        (home / "installed").touch()
    return str(python)
