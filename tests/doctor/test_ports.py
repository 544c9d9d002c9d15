"""Ports: free ones, and who has those that are taken."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.doctor.conftest import Make
from tests.integration.processes import free_port
from ucam_faas.doctor import ports
from ucam_faas.local_state import PAGE, LocalCloud


@pytest.fixture(autouse=True)
def pubsub_port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setattr(ports, "DEFAULT_PUBSUB_PORT", port)
    return port


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Answer as the Pub/Sub of a `ucam-faas dev` does, when it is asked for its folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == PAGE
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'{{"folder": "{folder}"}}'.encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_free_ports_are_named_with_their_use(around: Make, pubsub_port: int) -> None:
    port = free_port()

    (finding,) = ports.look(around(PORT=str(port)))

    assert finding.what.startswith(f"free: {port} (tasks), {pubsub_port} (Pub/Sub), ")


def test_a_taken_port_is_a_problem_with_its_process(around: Make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        problem, _ = ports.look(around(PORT=str(port)))

    assert problem.code == "port-taken"
    assert problem.commands[1] == "ucam-faas dev --port 0"
    if sys.platform == "linux":
        assert f"port {port} (tasks) is taken by process {os.getpid()}: " in problem.what
        assert problem.commands[0] == f"kill {os.getpid()}"


def test_where_processes_cannot_be_seen_a_command_shows_them(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_inodes", lambda port: iter(()))
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        problem, _ = ports.look(around(PORT=str(port)))

    assert problem.commands[0] == f"sudo lsof -nP -iTCP:{port} -sTCP:LISTEN"


def test_the_dev_of_another_folder_is_named(
    around: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(tmp_path / "other") as port:
        monkeypatch.setattr(ports, "DEFAULT_PUBSUB_PORT", port)

        problem, _ = ports.look(around(PORT=str(free_port())))

    assert problem.what == f"port {port} (Pub/Sub) has the `ucam-faas dev` of {tmp_path}/other"
    assert problem.commands == ("ucam-faas dev --port 0 --pubsub-port 0",)


def test_a_port_that_this_user_may_not_have_is_a_problem(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(host: str, port: int, advice: str) -> socket.socket:
        if port != 80:
            return bind(host, port, advice)
        raise ports.sockets.address_error(host, port, error, advice) from error

    bind, error = ports.sockets.bind, PermissionError(13, "Permission denied")
    monkeypatch.setattr(ports.sockets, "bind", refuse)

    problem, _ = ports.look(around(PORT="80"))

    assert problem.code == "port-refused"
    assert problem.what == "port 80 (tasks) can't be used: Permission denied"


def test_the_ports_of_a_dev_of_this_folder_are_no_problem(around: Make) -> None:
    cloud = LocalCloud(pubsub="127.0.0.1:8085", project="local", url="http://127.0.0.1:8080")

    (finding,) = ports.look(around(cloud=cloud))

    assert finding.what == "`ucam-faas dev` runs in this folder: tasks on 8080, Pub/Sub on 8085"


def test_with_another_pubsub_its_port_is_not_wanted(around: Make, pubsub_port: int) -> None:
    with closing(socket.create_server(("127.0.0.1", pubsub_port))):
        (finding,) = ports.look(around(PORT=str(free_port()), PUBSUB_EMULATOR_HOST="localhost:1"))

    assert str(pubsub_port) not in finding.what


def test_a_server_needs_no_ports_of_dev(around: Make) -> None:
    assert list(ports.look(around(K_SERVICE="tasks"))) == []
