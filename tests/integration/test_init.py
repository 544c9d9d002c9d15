"""Start-up code of a real process: the port opens when it has run, and not at all if it fails.

The tasks wait for the test at a socket, so that nothing here sleeps.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .processes import (
    NEVER_SECONDS,
    UCAM_FAAS,
    Server,
    announcement,
    environment,
    free_port,
    wait_until,
)

pytestmark = pytest.mark.slow

TASKS = """
import asyncio, json, os, socket, threading, time
import ucam_faas
from ucam_faas import Defer

def record(effect, **fields):
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = json.dumps({"effect": effect, "pid": os.getpid(), **fields})
    os.write(descriptor, f"{line}\\n".encode())
    os.close(descriptor)

def wait_for_test():
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        if text := gate.makefile().read():
            raise ConnectionError(text)

async def wait_on_the_loop():
    wait_for_test()

def connect():
    record("connect")

async def connect_async():
    await asyncio.sleep(0)
    record("connect_async", loop=id(asyncio.get_running_loop()))

@Defer
def client():
    record("client")
    return "client"

@ucam_faas.raw_event(init=[connect, connect_async, client])
async def ready(body):
    return {"client": client(), "loop": id(asyncio.get_running_loop()), "pid": os.getpid()}

@ucam_faas.raw_event(init=[connect])
def process_id(body):
    return str(os.getpid())

@ucam_faas.raw_event(init=[wait_for_test])
def gated(body):
    return "run"

@ucam_faas.raw_event(init=[wait_on_the_loop])
async def gated_async(body):
    return "run"

def fail_in_all_but_one():
    try:
        os.close(os.open("first", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise ConnectionError("one too many")

@ucam_faas.raw_event(init=[fail_in_all_but_one])
def picky(body):
    return "run"

def fail_and_leave_a_thread():
    threading.Thread(target=time.sleep, args=[600]).start()
    raise KeyError("DATABASE")

@ucam_faas.message_handler(message_type=None, init=[fail_and_leave_a_thread])
def broken(data):
    record("broken")

def die():
    os.kill(os.getpid(), 9)  # as the kernel does when memory is short

@ucam_faas.raw_event(init=[die])
def killed(body):
    return "run"

@ucam_faas.message_handler(message_type=None, init=[connect, connect_async, client])
def job(data):
    record("job", client=client())
"""
Start = Callable[..., Server]
NAMES = ["gated", "gated_async"]


class Gate:
    """Where start-up code waits for the test."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(15)
        self.port = self.listener.getsockname()[1]
        self.waiting: list[socket.socket] = []

    def wait(self, count: int = 1) -> None:
        """Wait until the start-up code of so many processes waits."""
        for _ in range(count):
            self.waiting.append(self.listener.accept()[0])

    def open(self, failure: str = "", count: int | None = None) -> None:
        """Let so many of them, or all, go on, or fail."""
        for waiting in self.waiting[:count]:
            waiting.sendall(failure.encode())
            waiting.close()

    def is_left_alone(self) -> bool:
        """Return True if no other connection has come since."""
        self.listener.settimeout(0)
        try:
            self.waiting.append(self.listener.accept()[0])
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Let all go."""
        for connection in (self.listener, *self.waiting):
            connection.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def start(tmp_path: Path, gate: Gate) -> Iterator[Start]:
    """Start `ucam-faas` on a port that is known before it opens."""
    folder = tmp_path / "process"
    folder.mkdir()
    (folder / "main.py").write_text(TASKS)
    servers: list[Server] = []

    def start(*arguments: str, **environ: str) -> Server:
        port = free_port()
        environ = environment(folder, PORT=str(port), GATE=str(gate.port), **environ)
        server = Server([UCAM_FAAS, *arguments], folder, environ)
        server.port = port
        servers.append(server)
        return server

    yield start

    for server in servers:
        server.kill()


def wait_serving(server: Server) -> None:
    wait_until(lambda: announcement(server), "it serves")


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def watched(server: Server) -> Iterator[list[int]]:
    """Connect to its port all the time, and collect the times that it took a connection."""
    answers: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if connects(server.port):
                answers.append(1)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


# --- the port


@pytest.mark.parametrize("target", NAMES)
def test_the_port_is_closed_until_start_up_code_has_run(
    start: Start, gate: Gate, target: str
) -> None:
    server = start("--target", target)
    gate.wait()

    before = connects(server.port)
    said = server.log("ucam_faas_serving")
    gate.open()
    wait_serving(server)

    assert before is False
    assert said == []
    assert server.post("/", b"").body == b"run"
    assert [line["message"] for line in server.log()][:2] == [
        "ucam_faas_init_completed",
        "ucam_faas_serving",
    ]


def test_the_address_is_taken_before_start_up_code_runs(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        server = start("--target", "gated", "--port", str(port))

        assert server.wait() == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in server.stderr
    assert server.effects() == []


def test_an_address_that_is_lost_while_start_up_code_runs_is_a_clear_error(
    start: Start, gate: Gate
) -> None:
    """Linux lets another socket bind to it, too, before one of them listens."""
    server = start("--target", "gated")
    gate.wait()

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        gate.open()

        assert server.wait() == 2
    (line,) = server.stderr.splitlines()
    assert line.startswith(f"ucam-faas: Cannot listen on 127.0.0.1:{server.port}: ")


def test_the_port_opens_with_the_first_of_several_processes(start: Start, gate: Gate) -> None:
    server = start("--target", "gated", WORKERS="2")
    gate.wait(2)

    gate.open(count=1)
    wait_serving(server)

    assert server.post("/", b"").body == b"run"
    assert len(server.log("ucam_faas_serving")) == 1


# --- failures


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_start_up_code_that_fails_ends_the_process_and_the_port_never_opens(
    start: Start, gate: Gate, target: str, workers: str
) -> None:
    server = start("--target", target, WORKERS=workers)
    with watched(server) as connections:
        gate.wait(int(workers))

        gate.open("no database")
        code = server.wait()

    assert code == 2
    assert connections == []
    (line,) = server.stderr.splitlines()
    assert line.startswith(f"ucam-faas: The start-up code of task '{target}' failed: wait_")
    assert "ConnectionError: no database (at " in line
    assert server.stdout == ""
    assert gate.is_left_alone(), "another process was started"


def test_start_up_code_that_fails_ends_the_process_whatever_it_has_begun(start: Start) -> None:
    """It has left a thread behind that goes on for ten minutes."""
    server = start("--target", "broken")

    assert server.wait() == 2
    assert "fail_and_leave_a_thread: KeyError: 'DATABASE'" in server.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_that_is_killed_while_it_starts_is_not_started_for_ever(
    start: Start, workers: str
) -> None:
    server = start("--target", "killed", WORKERS=workers)

    assert server.wait() == 2
    assert "A process ended while it started" in server.stderr


def test_a_failure_that_says_too_much_is_cut_short(start: Start, gate: Gate) -> None:
    server = start("--target", "gated")
    gate.wait()

    gate.open("no database " * 20_000)

    assert server.wait() == 2
    assert 1000 < len(server.stderr) < 10_000


def test_one_process_of_several_that_cannot_start_ends_all(start: Start) -> None:
    server = start("--target", "picky", WORKERS="3")

    assert server.wait() == 2
    (line,) = server.stderr.splitlines()
    assert "one too many" in line
    assert [line for line in server.log() if line["severity"] != "INFO"] == []


# --- what runs


def test_start_up_code_of_tasks_that_are_not_served_does_not_run(start: Start) -> None:
    server = start("--target", "process_id")
    wait_serving(server)

    assert [line["effect"] for line in server.effects()] == ["connect"]


@pytest.mark.parametrize("workers", [1, 2])
def test_each_runs_once_in_each_process(start: Start, workers: int) -> None:
    server = start("--target", "ready,process_id", WORKERS=str(workers))
    wait_serving(server)

    pids = server.pids_of_workers(workers)

    for effect in ("connect", "connect_async", "client"):
        assert sorted(line["pid"] for line in server.effects(effect)) == sorted(pids)


def test_async_start_up_code_runs_on_the_loop_that_serves(start: Start) -> None:
    server = start("--target", "ready")
    wait_serving(server)

    answer = server.post("/", b"").body.decode()

    (line,) = server.effects("connect_async")
    assert f'"loop":{line["loop"]}' in answer.replace(" ", "")
    assert len(server.effects("client")) == 1


def test_a_process_that_takes_anothers_place_starts_anew(start: Start) -> None:
    server = start("--target", "process_id,ready")
    wait_serving(server)
    killed = server.pid_of_worker()

    os.kill(killed, signal.SIGKILL)
    new = server.new_pid_of_worker(killed)

    assert [line["pid"] for line in server.effects("connect")] == [killed, new]
    assert len(server.log("ucam_faas_serving")) == 1


def test_a_task_that_is_run_once_is_started_first(start: Start) -> None:
    server = start("--target", "job", "--long-running")

    assert server.wait() == 0
    effects = [line["effect"] for line in server.effects()]
    assert effects == ["connect", "connect_async", "client", "job"]


def test_a_task_that_cannot_start_is_not_run_once(start: Start, gate: Gate) -> None:
    server = start("--target", "gated", "--long-running")
    gate.wait()

    gate.open("no database")

    assert server.wait() == 2
    assert "task 'gated' failed: wait_for_test: ConnectionError: no database" in server.stderr


# --- its end


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_start_up_code_without_waiting_for_the_grace(
    start: Start, gate: Gate, target: str, workers: str, number: signal.Signals
) -> None:
    server = start("--target", target, WORKERS=workers, UCAM_FAAS_GRACE_SECONDS=NEVER_SECONDS)
    gate.wait(int(workers))

    server.signal(number)
    code = server.wait()

    assert code == 0
    assert server.output.strip() == ""


def test_control_c_ends_start_up_code_of_all_processes(start: Start, gate: Gate) -> None:
    server = start("--target", "gated", WORKERS="2")
    gate.wait(2)

    server.signal_group(signal.SIGINT)

    assert server.wait() == 0
    assert server.output.strip() == ""
