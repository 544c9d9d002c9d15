"""Real processes for tests: started, watched and ended with all their children.

The output of a process goes to files, so that nothing here needs a thread. `wait_until` is the
only thing in these tests that waits.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

SOURCE = Path(__file__).parent / "tasks" / "main.py"
SCRIPTS = Path(sys.executable).parent
UCAM_FAAS = str(SCRIPTS / "ucam-faas")

HANG_SECONDS = 60.0
"""The longest wait for an event: a slow machine needs seconds, and a fault never ends."""
NEVER_SECONDS = "600"
"""A grace of such length that an end which waits for it counts as a hang."""

FoundT = TypeVar("FoundT")


def wait_until(find: Callable[[], FoundT], what: str, seconds: float = HANG_SECONDS) -> FoundT:
    """Return what `find` finds as soon as that is true, or fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not (result := find()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:g} s: {what}. Last seen: {result!r}")
        time.sleep(0.01)
    return result


def free_port() -> int:
    """Return a port of the loopback interface that is free at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """The answer to an HTTP request."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def request(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float = HANG_SECONDS,
) -> Answer:
    """Make a request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read(), dict(response.headers.items()))
    finally:
        connection.close()


class Process:
    """A running process in a session of its own; it ends when the tests do, however they end."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        # A test run that is killed ends no fixtures, but closes this pipe.
        watch = f"cat; kill -KILL -{self.popen.pid}"
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", watch],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def stdout(self) -> str:
        """Its standard output so far."""
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        """Its standard error so far."""
        return self._stderr.read_text()

    @property
    def output(self) -> str:
        """Both, to read when something is wrong."""
        return f"{self.stdout}\n{self.stderr}"

    def log(self, message: str | None = None) -> list[dict[str, Any]]:
        """Return the whole lines of its log, or those of one message."""
        text = self.stdout
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in lines if message in (None, line["message"])]

    def logged(self, message: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the lines of one message, as soon as there are so many: after the answer."""
        wait_until(lambda: len(self.log(message)) >= count, f"{count} x {message}")
        return self.log(message)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.popen.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children, as a terminal does."""
        os.killpg(self.popen.pid, number)

    def wait(self, seconds: float = HANG_SECONDS) -> int:
        """Return the exit code when it has ended by itself."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It runs on for {seconds:g} s: {self.output}") from None

    def kill(self) -> None:
        """End it and its children, whatever they do."""
        self._watchdog.kill()
        self._watchdog.communicate()
        with suppress(ProcessLookupError):
            self.signal_group(signal.SIGKILL)
        self.popen.wait(HANG_SECONDS)


class Server(Process):
    """A running `ucam-faas`."""

    port: int

    @property
    def effects_file(self) -> Path:
        """Where its tasks write what they do."""
        return self.folder / "effects"

    def effects(self, effect: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Return what its tasks have done, or the effects with these fields."""
        if effect is not None:
            fields["effect"] = effect
        if not self.effects_file.exists():
            return []
        text = self.effects_file.read_text()
        lines = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
        return [line for line in lines if fields.items() <= line.items()]

    def post(self, path: str, body: bytes = b"", **options: Any) -> Answer:
        """Post a body."""
        return request(self.port, "POST", path, body, **options)

    def pid_of_worker(self) -> int:
        """Ask for the process that answers."""
        return int(self.post("/process_id").body)

    def pids_of_workers(self, count: int) -> set[int]:
        """Ask until this many processes have answered."""
        pids: set[int] = set()

        def all_found() -> bool:
            pids.add(self.pid_of_worker())
            return len(pids) == count

        wait_until(all_found, f"{count} processes answer")
        return pids

    def new_pid_of_worker(self, old: int) -> int:
        """Ask for the process that answers, once it is another."""

        def find() -> int | None:
            try:
                answer = self.post("/process_id", seconds=5)
            except (OSError, http.client.HTTPException):
                return None
            pid = int(answer.body) if answer.status == 200 else None
            return pid if pid != old else None

        return wait_until(find, "another process answers") or 0


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return a process's environment: the least that it needs, whatever the test run has."""
    environ = {
        "PATH": f"{SCRIPTS}:{os.environ.get('PATH', '')}",
        "HOME": str(folder),
        "HOST": "127.0.0.1",
        "UCAM_FAAS_LOG_FORMAT": "json",
        "EFFECTS": str(folder / "effects"),
    }
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return {**environ, **more}


def run(*arguments: str, folder: Path, **environ: str) -> Server:
    """Run `ucam-faas` to its end."""
    process = Server([UCAM_FAAS, *arguments], folder, environment(folder, **environ))
    try:
        process.wait()
    finally:
        process.kill()
    return process


@contextmanager
def serving(*arguments: str, folder: Path, **environ: str) -> Iterator[Server]:
    """Serve with `ucam-faas` on a free port; by default, the tasks of these tests."""
    defaults = {
        "FUNCTION_SOURCE": str(SOURCE),
        "PORT": "0",
        "UCAM_FAAS_GRACE_SECONDS": NEVER_SECONDS,
    }
    server = Server([UCAM_FAAS, *arguments], folder, environment(folder, **defaults | environ))
    try:
        line = wait_until(lambda: announcement(server), "it serves")
        server.port = int(line["url"].rpartition(":")[2])
        yield server
    finally:
        server.kill()


def announcement(server: Server) -> dict[str, Any] | None:
    """Return the line that says where it serves, or fail if it has ended."""
    assert server.popen.poll() is None, f"It ended at its start: {server.output}"
    return next(iter(server.log("ucam_faas_serving")), None)
