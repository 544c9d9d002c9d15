"""The dashboard of `ucam-faas dev`: where it is, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, Process, free_port, request, wait_until
from ucam_faas.dev import dashboard

from .cloud import Dev, descendants, environ_of, is_running, refused, wait_ended
from .conftest import StartDev

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]


def port_of(output: str) -> int:
    """Return the port of a dashboard, which the first line names."""
    match = re.match(r"Dashboard on http://127\.0\.0\.1:(\d+)\n", output)
    assert match is not None, output
    return int(match[1])


def dashboard_of(pid: int) -> int:
    """Return the process of the dashboard that a process has started."""
    (pid,) = (
        child
        for child in descendants(pid)
        if b"ucam_faas.dashboard.process" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    return pid


def answers(dev: Dev) -> bool:
    return request(port_of(dev.stdout), "GET", "/").status == 200


@contextmanager
def following(port: int) -> Iterator[None]:
    """Follow events as a page does, which doesn't end by itself."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
        stream.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"text/event-stream" in stream.recv(4096)
        yield


def test_its_address_is_the_first_line_and_it_ends_with_dev(start_dev: StartDev) -> None:
    dev = start_dev("--dashboard-port", "0")
    pid = dashboard_of(dev.popen.pid)

    assert answers(dev)
    document = json.loads((dev.folder / ".ucam-faas/dev.json").read_text())
    assert document["dashboard"] == f"http://127.0.0.1:{port_of(dev.stdout)}"
    with following(port_of(dev.stdout)):
        assert dev.end() == 0
    assert not is_running(pid)
    assert dev.stderr == ""
    assert (dev.folder / ".ucam-faas/dashboard.log").read_text() == ""


def test_it_ends_when_dev_is_killed(start_dev: StartDev) -> None:
    dev = start_dev("--dashboard-port", "0")
    pid = dashboard_of(dev.popen.pid)

    dev.signal(signal.SIGKILL)

    wait_ended([pid])


def test_its_end_is_one_line_and_dev_goes_on(start_dev: StartDev) -> None:
    dev = start_dev("--dashboard-port", "0")

    os.kill(dashboard_of(dev.popen.pid), signal.SIGKILL)

    (line,) = dev.wait_shown("error", "the dashboard ended (exit code -9)")  # its log is empty
    assert f"run `ucam-faas dashboard --port {port_of(dev.stdout)}` here" in line
    dev.rest.publish("store", b'{"number": 1}')
    dev.wait_shown("done", "store  message 1")
    assert dev.end() == 0


def test_it_says_that_tasks_which_cannot_be_loaded_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("1 / 0")
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0", "--dashboard-port", "0"]
    process = Process(command, tmp_path, environ_of(tmp_path))
    try:
        wait_until(lambda: "ZeroDivisionError" in process.stdout, "it has failed")

        page = request(port_of(process.stdout), "GET", "/").body.decode()

        assert "serving the tasks. If it runs, its terminal says why." in page
    finally:
        process.kill()


def test_a_port_that_is_taken_is_an_error_if_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0", "--dashboard-port", port]

        process = Process(command, tmp_path, environ_of(tmp_path))
        try:
            error = refused(process)
        finally:
            process.kill()

    assert "--dashboard-port" in error


def test_by_default_the_usual_ports_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = taken.getsockname()[1], free_port()
        monkeypatch.setattr(dashboard, "DASHBOARD_PORTS", (port, free))

        with dashboard.listen("127.0.0.1", None) as second:
            assert second.getsockname()[1] == free
            with dashboard.listen("127.0.0.1", None) as third:
                assert third.getsockname()[1] not in (port, free)
