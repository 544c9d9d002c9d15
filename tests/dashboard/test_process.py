"""The process of `ucam-faas dashboard`: its address, and its end."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.dev.cloud import environ_of
from tests.integration.processes import UCAM_FAAS, Process, request, wait_until
from tests.support.history import published, write
from ucam_faas import local_state
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.history.database import FILE
from ucam_faas.local_state import DASHBOARD_PORTS
from ucam_faas.net import sockets

pytestmark = pytest.mark.slow

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts one where a `ucam-faas dev` has left its history."""
    write(local_state.make_home(tmp_path) / FILE, [published("17")])
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        process = Process([UCAM_FAAS, "dashboard", *arguments], tmp_path, environ_of(tmp_path))
        started.append(process)
        wait_until(lambda: "Dashboard on" in process.stdout, "it says where it is")
        wait_until(partial(answers, port_of(process)), "it answers")
        return process

    yield start
    for process in started:
        process.kill()


def answers(port: int) -> bool:
    with suppress(ConnectionError):
        return request(port, "GET", "/").status == 200
    return False


def port_of(process: Process) -> int:
    match = re.match(r"Dashboard on http://127\.0\.0\.1:(\d+)\n", process.stdout)
    assert match is not None, process.stdout
    return int(match[1])


def test_a_taken_port_that_wasnt_asked_for_is_another_port(start: Start) -> None:
    with ExitStack() as stack:
        with suppress(ConfigurationError):  # if another process has it, that's as good
            usual = stack.enter_context(sockets.bind("127.0.0.1", DASHBOARD_PORTS[0], ""))
            usual.listen()

        process = start()
    port = port_of(process)

    assert port != DASHBOARD_PORTS[0]
    assert f"Port 8088 is taken, so it is on {port}." in process.stderr


def test_the_end_of_its_terminal_ends_it_in_order(start: Start) -> None:
    """A page that follows events, which doesn't end by itself, gets the end of its answer."""
    process = start("--port", "0")
    with socket.create_connection(("127.0.0.1", port_of(process)), timeout=60) as page:
        page.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"retry:" not in (text := page.recv(4096)):
            assert text
        process.signal(signal.SIGHUP)
        rest = b"".join(iter(lambda: page.recv(4096), b""))

    assert rest.endswith(b"0\r\n\r\n")
    assert process.wait() == 0
    assert process.stderr == ""
