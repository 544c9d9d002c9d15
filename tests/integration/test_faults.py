"""Real processes under attack: what a fault of one part costs the others."""

import http.client
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ucam_faas.testing import make_push

from .processes import Server, wait_until

pytestmark = pytest.mark.slow

Serve = Callable[..., Server]


@pytest.mark.parametrize("task", ["work", "work_async"])
def test_workers_end_in_order_when_their_main_process_is_killed(serve: Serve, task: str) -> None:
    """Running work is finished and answered, and then the port is free."""
    server = serve(WORKERS="2")
    workers = server.pids_of_workers(2)
    with ThreadPoolExecutor(1) as clients:
        body = b'{"id": "long", "seconds": 1.0}'
        running = clients.submit(lambda: server.post(f"/{task}", body).status)
        wait_until(lambda: server.effects("work_begins"), "the work runs")

        server.signal(signal.SIGKILL)

        assert running.result() == 200
    wait_until(lambda: not any(map(exists, workers)), "the workers have ended", 5)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", server.port))
        listener.listen()
    assert len(server.logged("ucam_faas_main_process_ended", 2)) == 2
    assert server.stderr == ""


def test_a_worker_whose_event_loop_is_stuck_ends_when_its_main_process_is_killed(
    serve: Serve, tmp_path: Path
) -> None:
    """No other process is left to kill it."""
    (tmp_path / "main.py").write_text(STUCK)
    server = serve(FUNCTION_SOURCE=str(tmp_path / "main.py"), UCAM_FAAS_GRACE_SECONDS="0")
    worker = server.pid_of_worker()
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(lambda: server.post("/stick"))
        wait_until((tmp_path / "stuck").exists, "the event loop is stuck")

        server.signal(signal.SIGKILL)

        wait_until(lambda: not exists(worker), "the worker has ended", 10)
        with pytest.raises((OSError, http.client.HTTPException)):
            running.result()


STUCK = """
import os, pathlib, time, ucam_faas

@ucam_faas.raw_event
async def process_id(body):
    return str(os.getpid())

@ucam_faas.raw_event
async def stick(body):
    (pathlib.Path(__file__).parent / "stuck").touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_a_task_that_ends_its_process_costs_that_process_only(serve: Serve, code: int) -> None:
    """gunicorn takes 3 and 4 for a start that failed, and would end all."""
    server = serve()
    ended = server.pid_of_worker()

    with pytest.raises((OSError, http.client.HTTPException)):
        server.post("/exit_with", b"%d" % code)

    assert server.new_pid_of_worker(ended) != ended
    assert server.post("/echo", b"on").body == b"on"
    assert server.popen.poll() is None


@pytest.mark.parametrize("task", ["store_list", "store_list_async", "attributes"])
def test_a_large_body_of_wrong_items_costs_little_memory(serve: Serve, task: str) -> None:
    """Collecting and describing every error took a gigabyte and ten seconds of the event loop."""
    server = serve()
    worker = server.pid_of_worker()
    if task == "attributes":
        attributes = b",".join(b'"%x":1' % number for number in range(1_100_000))
        path, body = "/store", b'{"message":{"data":"","attributes":{' + attributes + b"}}}"
    else:
        path, body = f"/{task}", make_push(b"[" + b",".join([b"{}"] * 2_000_000) + b"]").body

    answer = server.post(path, body, headers={"Content-Type": "application/json"}, seconds=30)

    assert answer.status == 400
    assert peak_megabytes(worker) < 300
    assert server.pid_of_worker() == worker


@pytest.mark.parametrize(
    "endless",
    [b"x-many: " + b"y" * 1000 + b"\r\n", b"y" * 1000],
    ids=["headers", "header"],
)
def test_a_head_without_an_end_is_431(serve: Serve, endless: bytes) -> None:
    server = serve()
    worker = server.pid_of_worker()
    before = peak_megabytes(worker)
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nx-first: ")
        with suppress(ConnectionError):
            for _ in range(50_000):
                client.sendall(endless)
        with suppress(ConnectionError):
            received = client.recv(65_536)

    assert received[:13] in (b"HTTP/1.1 431 ", b"")  # a reset may overtake the answer
    assert peak_megabytes(worker) - before < 10
    wait_until(lambda: server.log()[-1]["severity"] == "WARNING", "the line")
    assert server.stderr == ""


def test_a_large_head_with_an_end_is_taken(serve: Serve) -> None:
    server = serve()

    answer = server.post("/echo", b"on", headers={"x-large": "y" * 60_000})

    assert (answer.status, answer.body) == (200, b"on")


def test_a_head_is_measured_without_the_body_before_it(serve: Serve) -> None:
    """Two requests at once, of which the second begins in the last part of a large body."""
    server = serve()
    body = b"x" * 600_000
    first = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    second = b"POST /process_id HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(first + body + second)
        received = b""
        while body not in received:
            received += client.recv(1_000_000)
        client.sendall(b"Connection: close\r\n\r\n")
        while part := client.recv(65_536):
            received += part

    assert received.count(b"HTTP/1.1 200 ") == 2


def test_trailers_are_dropped(serve: Serve) -> None:
    server = serve()
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    trailers = b"x-trailer: y\r\n" * 10_000
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head + b"Connection: close\r\n\r\n5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
        received = b""
        while part := client.recv(65_536):
            received += part

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"hello")


def peak_megabytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) // 1024


@pytest.mark.parametrize("connections", [20, 0])
def test_a_process_without_descriptors_is_replaced(serve: Serve, connections: int) -> None:
    """One line says why, whether or not anybody connects meanwhile."""
    server = serve(UCAM_FAAS_GRACE_SECONDS="1")
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kept.request("POST", "/leak_descriptors")
    old = int(kept.getresponse().read())

    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
    wait_until(lambda: not exists(old), "it has ended")

    assert server.new_pid_of_worker(old) != old
    errors = [line for line in server.log() if line["severity"] == "ERROR"]
    assert [line["message"] for line in errors] == ["ucam_faas_process_replaced"]
    assert errors[0]["reason"].startswith("EMFILE")
    assert server.stderr == ""
    for client in [kept, *clients]:
        client.close()


def test_a_body_that_still_arrives_at_sigterm_is_503_and_no_error(serve: Serve) -> None:
    server = serve(UCAM_FAAS_GRACE_SECONDS="1")
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head + b"part")
        server.post("/echo")  # its answer says that the loop has seen the other one, too

        server.signal(signal.SIGTERM)

        assert client.recv(65_536).startswith(b"HTTP/1.1 503 ")
    assert server.wait() == 0
    assert [line["severity"] for line in server.log() if line["severity"] != "INFO"] == ["WARNING"]
    assert server.stderr == ""


@pytest.mark.parametrize("header", ['{"a name": "x"}', '{"x-value": "\\u0000"}'])
def test_an_answer_goes_without_a_header_that_cannot_be_sent(serve: Serve, header: str) -> None:
    """The work is done: dropping the connection would have it done again."""
    server = serve()

    answer = server.post("/answer_with_headers", header.encode())

    assert (answer.status, answer.body) == (201, b"done")
    assert len(server.effects("answer_with_headers")) == 1
    assert len(server.logged("ucam_faas_header_not_sent")) == 1
    assert server.stderr == ""


@pytest.mark.parametrize("drips", [False, True], ids=["hangs", "drips"])
def test_all_deliveries_wait_once_for_certificates_that_do_not_come(
    serve: Serve, drips: bool
) -> None:
    """Ten deliveries at once, each with a client that waits for less than two fetches."""
    with slow_endpoint(drips=drips) as (port, connections), ThreadPoolExecutor(10) as clients:
        server = serve(
            UCAM_FAAS_PUSH_AUDIENCE="audience",
            UCAM_FAAS_PUSH_EMAIL="push@example.com",
            UCAM_FAAS_PUSH_CERTS_URL=f"http://127.0.0.1:{port}/certs",
        )
        headers = {"Authorization": "Bearer a.b.c"}

        deliveries = [
            clients.submit(server.post, "/echo", headers=headers, seconds=9) for _ in range(10)
        ]

        assert [delivery.result().status for delivery in deliveries] == [503] * 10
        assert server.post("/echo", headers=headers, seconds=2).status == 503  # without a fetch
        assert len(connections) == 1
        assert server.effects("echo") == []


@contextmanager
def slow_endpoint(*, drips: bool) -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that takes connections, and says nothing, or a header line now and then."""
    connections: list[socket.socket] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])
                    connections[-1].sendall(b"HTTP/1.1 200 OK\r\n" if drips else b"")

        def drip() -> None:
            while not ended.wait(0.5):
                for connection in list(connections):
                    with suppress(OSError):
                        connection.sendall(b"x: y\r\n")

        threads = [threading.Thread(target=work) for work in (accept, *([drip] if drips else []))]
        for thread in threads:
            thread.start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for connection in connections:
                connection.close()


def exists(pid: int) -> bool:
    """Return True if a process runs; a dead one whose parent hasn't waited for it doesn't."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just ended; or there is no /proc, as on a Mac
        return not Path("/proc").exists()
    return not state.startswith(" Z")
