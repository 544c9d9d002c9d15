"""A running `ucam-faas dev` or `ucam-faas emulator`, and its REST API."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.processes import (
    HANG_SECONDS,
    UCAM_FAAS,
    Answer,
    Process,
    Server,
    environment,
    request,
    wait_until,
)

SOURCE = Path(__file__).parent / "tasks" / "main.py"
PROJECT = "local"
ENDS_WITHIN = HANG_SECONDS
"""Seconds: the longest drain, and some more."""
_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3}  (\w+(?: out)?) +(.*)")


class Line(NamedTuple):
    """A line of the stream, without its time."""

    what: str
    text: str


class Rest:
    """The REST API at a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Make a call; `path` follows `/v1/`."""
        content = b"" if body is None else json.dumps(body).encode()
        return request(self.port, method, f"/v1/{path}", content)

    def get(self, path: str) -> Any:
        """Return the resource."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def exists(self, path: str) -> bool:
        """Return True if the resource exists."""
        return self.call("GET", path).status == 200

    def subscription(self, name: str) -> Any:
        """Return a subscription of the project."""
        return self.get(f"projects/{PROJECT}/subscriptions/{name}")

    def job(self, name: str) -> Any:
        """Return a schedule of the project."""
        return self.get(f"projects/{PROJECT}/locations/local/jobs/{name}")

    def publish(self, topic: str, data: bytes = b"x", key: str = "", **attributes: str) -> str:
        """Publish a message, and return its id."""
        message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
        body = {"messages": [{**message, "orderingKey": key}]}
        answer = self.call("POST", f"projects/{PROJECT}/topics/{topic}:publish", body)
        assert answer.status == 200, answer
        return str(json.loads(answer.body)["messageIds"][0])

    def pull(self, subscription: str) -> list[dict[str, Any]]:
        """Return messages of a subscription, if it has some now; they are not acknowledged."""
        name = f"projects/{PROJECT}/subscriptions/{subscription}"
        body = {"maxMessages": 100, "returnImmediately": True}
        answer = self.call("POST", f"{name}:pull", body)
        assert answer.status == 200, answer
        return [
            delivery["message"] for delivery in json.loads(answer.body).get("receivedMessages", [])
        ]


class Dev(Server):
    """A running `ucam-faas dev`."""

    rest: Rest

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(command, folder, environ)
        self._lines: list[Line] = []
        self._read_to = 0

    @property
    def url(self) -> str:
        """Where its tasks are served."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[Line]:
        """Its stream so far, and the log of the tasks."""
        with (self.folder / "stdout").open("rb") as file:
            file.seek(self._read_to)
            whole, end, _ = file.read().rpartition(b"\n")
        self._read_to += len(whole + end)
        for line in whole.decode().splitlines():
            if match := _LINE.fullmatch(line):
                self._lines.append(Line(*match.groups()))
        return self._lines

    def shown(self, what: str, *parts: str) -> list[str]:
        """Return the texts of the lines of a kind that contain these parts."""
        return [
            line.text
            for line in self.lines
            if line.what == what and all(part in line.text for part in parts)
        ]

    def wait_shown(self, what: str, *parts: str, count: int = 1) -> list[str]:
        """Return the texts when there are at least `count`."""

        def find() -> list[str]:
            assert self.popen.poll() is None, f"It has ended: {self.output}"
            texts = self.shown(what, *parts)
            return texts if len(texts) >= count else []

        return wait_until(find, f"{count} times {what} {parts}")

    def wait_effects(self, effect: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Return the recorded effects of its tasks, when there are at least `count`."""

        def find() -> list[dict[str, Any]]:
            effects = self.effects(effect, **fields)
            return effects if len(effects) >= count else []

        return wait_until(find, f"{count} times {effect} {fields}")

    def say(self, name: str) -> None:
        """Make a file that the tasks look for."""
        (self.folder / name).touch()

    def unsay(self, name: str) -> None:
        """Remove it."""
        (self.folder / name).unlink()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as Control-C does, and return the exit code."""
        self.signal(number)
        return self.wait(ENDS_WITHIN)

    def start(self, *command: str) -> Process:
        """Start `ucam-faas` in its directory."""
        folder = self.folder / f"-{'-'.join(command[:2])}"
        command = ("sh", "-c", 'cd "$0" && exec "$@"', str(self.folder), UCAM_FAAS, *command)
        return Process(command, folder, environ_of(self.folder))

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `ucam-faas` in its directory, to its end."""
        return subprocess.run(
            [UCAM_FAAS, *command],
            cwd=self.folder,
            env=environ_of(self.folder, **environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


def environ_of(folder: Path, **more: str) -> dict[str, str]:
    """Return a process's environment."""
    environ = environment(folder, **more)
    if "UCAM_FAAS_LOG_FORMAT" not in more:
        del environ["UCAM_FAAS_LOG_FORMAT"]
    return environ


def starting(folder: Path, *arguments: str, **environ: str) -> Dev:
    """Start `ucam-faas dev` in a folder on free ports."""
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0", *arguments]
    if "--dashboard-port" not in arguments:  # it costs a process
        command.append("--no-dashboard")
    return Dev(command, folder, environ_of(folder, **environ))


@contextmanager
def running(folder: Path, *arguments: str, **environ: str) -> Iterator[Dev]:
    """Run `ucam-faas dev` in a folder on free ports, by default with the tasks of these tests."""
    folder.mkdir(parents=True, exist_ok=True)
    by_default = not arguments or arguments[0].startswith("-")
    if by_default and not (folder / "main.py").exists():
        shutil.copy(SOURCE, folder / "main.py")
    dev = starting(folder, *arguments, **environ)
    try:
        address = wait_until(lambda: _address(dev), "it serves")
        dev.port, pubsub = int(address[1]), int(address[2])
        dev.rest = Rest(pubsub)
        yield dev
    finally:
        dev.kill()


def _address(dev: Dev) -> re.Match[str] | None:
    assert dev.popen.poll() is None, f"It ended at its start: {dev.output}"
    if "Control-C ends." not in dev.stdout:
        return None
    return re.search(
        r"^Tasks on http://127.0.0.1:(\d+)\n(?:.*\n)?.* on 127.0.0.1:(\d+)$", dev.stdout, re.M
    )


def refused(process: Process) -> str:
    """Return the one line of an error; there is no traceback, and the exit code is 2."""
    assert process.wait() == 2, process.output
    assert "Traceback" not in process.output
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert line.startswith("ucam-faas: ")
    return line


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    pids, new = [], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        pids += new
    return pids


def is_running(pid: int) -> bool:
    """Return True if a process runs; a zombie doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def wait_ended(pids: list[int]) -> None:
    """Wait until these processes have ended."""
    wait_until(lambda: not any(map(is_running, pids)), f"{pids} have ended", ENDS_WITHIN)


def can_listen(port: int) -> bool:
    """Return True if a port is free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
