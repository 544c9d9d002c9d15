"""Start-up code under `ucam-faas dev`: new code takes over when it has run."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, environ_of, running

from .processes import UCAM_FAAS, Process, request, wait_until

pytestmark = pytest.mark.slow

TASKS = """
import os, socket
import ucam_faas

def connect():
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        if text := gate.makefile().read():
            raise ConnectionError(text)

@ucam_faas.http(path="/version", init=[connect])
def version(request):
    return "{version}"
"""


class Gate:
    """Where start-up code waits for the test."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(15)
        self.port = str(self._listener.getsockname()[1])

    def wait(self) -> socket.socket:
        """Wait until start-up code waits; it goes on when the socket is closed, or fails."""
        return self._listener.accept()[0]

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


def save(folder: Path, version: int, waits: bool = True) -> None:
    """Save the tasks as editors do: another file takes the place of the last."""
    text = TASKS.replace("{version}", str(version))
    (folder / ".new").write_text(text if waits else text.replace(", init=[connect]", ""))
    (folder / ".new").replace(folder / "main.py")


def version(dev: Dev) -> int:
    return int(request(dev.port, "GET", "/version").body)


def test_new_code_takes_over_when_its_start_up_code_has_run(tmp_path: Path, gate: Gate) -> None:
    save(tmp_path, 1, waits=False)
    with running(tmp_path, GATE=gate.port) as dev:
        save(tmp_path, 2)
        with gate.wait():
            meanwhile = version(dev)
        dev.wait_shown("reload", "main.py changed; serving it after")

        assert meanwhile == 1
        assert version(dev) == 2
        assert dev.end() == 0


def test_start_up_code_that_fails_is_shown_until_it_is_fixed(tmp_path: Path, gate: Gate) -> None:
    save(tmp_path, 1, waits=False)
    with running(tmp_path, GATE=gate.port) as dev:
        save(tmp_path, 2)
        with gate.wait() as waiting:
            waiting.sendall(b"no database")
        (shown,) = dev.wait_shown("error", "main.py")
        dev.wait_shown("reload", "main.py changed; serving it after")
        answer = request(dev.port, "GET", "/version")
        save(tmp_path, 3, waits=False)
        dev.wait_shown("reload", "main.py changed; serving it after", count=2)

        assert "The start-up code of task 'version' failed: connect: ConnectionError: no" in shown
        assert answer.status == 500
        assert version(dev) == 3
        assert dev.end() == 0


def test_code_that_is_saved_while_start_up_code_hangs_is_served(tmp_path: Path, gate: Gate) -> None:
    save(tmp_path, 1, waits=False)
    with running(tmp_path, GATE=gate.port) as dev:
        save(tmp_path, 2)
        with gate.wait():
            save(tmp_path, 3, waits=False)
            wait_until(lambda: version(dev) == 3, "the newest code is served")

        assert dev.end() == 0


def test_control_c_ends_while_start_up_code_hangs(tmp_path: Path, gate: Gate) -> None:
    save(tmp_path, 1, waits=False)
    with running(tmp_path, GATE=gate.port) as dev:
        save(tmp_path, 2)
        with gate.wait():
            assert dev.end() == 0


def test_start_up_code_that_fails_at_first_costs_its_task_only(tmp_path: Path, gate: Gate) -> None:
    save(tmp_path, 1)
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0"]
    process = Process(command, tmp_path, environ_of(tmp_path, GATE=gate.port))
    try:
        with gate.wait() as waiting:
            waiting.sendall(b"no database")

        wait_until(lambda: "Saved files are served at once" in process.stdout, "it is served")
        assert "failed: connect: ConnectionError: no database" in process.stdout
        assert "Its messages wait; other tasks are served." in process.stdout
    finally:
        process.kill()
