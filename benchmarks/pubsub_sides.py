"""The two Pub/Subs that `emulator.py` compares, as processes: ours, durable, and Google's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from local import free_port

GET_TOPIC = "/google.pubsub.v1.Publisher/GetTopic"
NO_TOPIC = b"\n\x15projects/p/topics/ttt"  # GetTopicRequest(topic="projects/p/topics/ttt")


@dataclass(frozen=True)
class Side:
    """A running process, and how long it took from its start until it answered."""

    name: str
    host: str
    process: subprocess.Popen[bytes]
    log: Path
    seconds_to_http: float
    seconds_to_grpc: float

    def memory_mb(self, kind: str = "Pss") -> float:
        """Memory of the process and its children, in MB (1,000,000 bytes).

        Pss is the proportional set size, which counts shared pages in part: less when other
        programs use the same libraries. Rss counts them whole.
        """
        return sum(_bytes_of(pid, kind) for pid in _tree(self.process.pid)) / 1e6

    def check(self) -> None:
        """Stop everything if it has ended."""
        if (code := self.process.poll()) is not None:
            raise SystemExit(f"{self.name} ended with {code}: {self.log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(name: str) -> Iterator[Side]:
    """Start a side, empty, and stop it at the end; yield it when it answers HTTP and gRPC."""
    with tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as folder:
        port = free_port()
        host = f"127.0.0.1:{port}"
        log = Path(folder, "log")
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                COMMANDS[name](port, folder),
                cwd=folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            while not _answers_http(port):
                Side(name, host, process, log, 0, 0).check()
                time.sleep(0.002)
            http = time.perf_counter() - started
            _call_grpc(port)
            yield Side(name, host, process, log, http, time.perf_counter() - started)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)


def _ours(port: int, folder: str) -> list[str]:
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--host", "127.0.0.1"]
    return [*command, "--port", str(port), "--state", f"{folder}/state"]


def _google(port: int, folder: str) -> list[str]:
    gcloud, java = shutil.which("gcloud"), shutil.which("java")
    named = os.environ.get("CLOUDSDK_ROOT_DIR")
    if java is None or not (named or gcloud):
        raise SystemExit("Google's emulator needs java, and gcloud or CLOUDSDK_ROOT_DIR")
    root = Path(named) if named else Path(str(gcloud)).resolve().parent.parent
    jars = sorted(root.glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"))
    if not jars:
        raise SystemExit("no Pub/Sub emulator: gcloud components install pubsub-emulator")
    # As in tests/integration/emulator.py; the limit is in its favour where memory is compared.
    options = ["-Xmx512m", "-XX:-UsePerfData"]
    return [java, *options, "-jar", str(jars[-1]), "--host=127.0.0.1", f"--port={port}"]


COMMANDS = {"ours": _ours, "google": _google}


def _answers_http(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _call_grpc(port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(GET_TOPIC)(NO_TOPIC, timeout=30, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _bytes_of(pid: int, kind: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no {kind} of process {pid}")
