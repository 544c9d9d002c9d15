"""`ucam-faas` as a real process: gunicorn, its workers, sockets and output."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ucam_faas.testing import make_push

from .processes import SOURCE, Server, free_port, request, serving, wait_until

pytestmark = pytest.mark.slow

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder=folder, UCAM_FAAS_MAX_BODY_BYTES="1000000") as server:
        yield server


def test_options_say_what_is_served(serve: Serve) -> None:
    server = serve(
        *("--source", str(SOURCE), "--target", "echo,store"),
        *("--host", "127.0.0.1", "--port", "0"),
        **{"FUNCTION_SOURCE": "other.py", "FUNCTION_TARGET": "other", "PORT": "1"},
    )

    answer = server.post("/", b"hello")

    assert (answer.status, answer.body) == (200, b"hello")
    assert server.log("ucam_faas_serving")[0]["tasks"] == ["echo", "store"]
    assert server.post("/process_id").status == 404


def test_environment_variables_say_what_is_served(serve: Serve) -> None:
    server = serve(FUNCTION_SOURCE=str(SOURCE.parent), FUNCTION_TARGET="echo", PORT="0")

    answer = server.post("/", b"hello")

    assert (answer.status, answer.body) == (200, b"hello")
    assert server.log("ucam_faas_serving")[0]["tasks"] == ["echo"]
    assert server.post("/store", b"echoed").body == b"echoed"  # one target has every path


def test_an_empty_environment_variable_counts_as_not_set(serve: Serve) -> None:
    server = serve(FUNCTION_TARGET="", UCAM_FAAS_DEAD_LETTER_TOPIC="", WORKERS="")

    line = server.log("ucam_faas_serving")[0]
    assert len(line["tasks"]) > 10
    assert line["not_served"] == ["gather"]  # it takes batches


@pytest.mark.parametrize("path", ["/healthy", "/status"])
def test_health_is_answered(server: Server, path: str) -> None:
    answer = request(server.port, "GET", path)

    assert (answer.status, answer.body) == (200, b"ok")


def test_a_push_reaches_its_task(server: Server) -> None:
    push = make_push({"number": 7}, subscription="projects/p/subscriptions/s")

    answer = server.post("/store", push.body, headers=push.headers)

    assert (answer.status, answer.body) == (200, b"OK")
    (effect,) = server.effects("store", number=7)
    assert effect["subscription"] == "projects/p/subscriptions/s"


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_a_huge_body_is_refused_without_being_read_whole(server: Server, announced: bool) -> None:
    """64 MB are offered; the server answers before the socket's buffers take more than some."""
    total, block = 64_000_000, b"x" * 65_536
    framing = f"Content-Length: {total}" if announced else "Transfer-Encoding: chunked"
    head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n"
    sent, before = 0, server.effects("echo")

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head.encode())
        client.setblocking(False)
        received = b""
        chunk = block if announced else b"%x\r\n%s\r\n" % (len(block), block)
        pending = b""

        def answered() -> bool:
            nonlocal sent, received, pending
            try:
                received += client.recv(65_536)
            except BlockingIOError:
                pass
            except ConnectionResetError:
                return True
            try:
                pending = pending or chunk
                written = client.send(pending)
                sent, pending = sent + written, pending[written:]
            except OSError:  # its buffers are full, or it has closed the connection
                pass
            return b"\r\n\r\n" in received or sent >= total

        wait_until(answered, "the answer")

    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in received.lower()
    assert sent < total / 4
    assert server.effects("echo") == before


def test_a_body_that_announces_itself_too_large_is_refused_before_it_is_sent(
    server: Server,
) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000001\r\n\r\n"

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head)
        received = client.recv(65_536)

    assert received.startswith(b"HTTP/1.1 413 ")


def test_a_body_up_to_the_limit_is_taken(serve: Serve) -> None:
    server = serve(FUNCTION_TARGET="echo", UCAM_FAAS_MAX_BODY_BYTES="1000")

    answers = [server.post("/echo", b"x" * size).status for size in (1000, 1001)]

    assert answers == [200, 413]


def test_a_connection_serves_many_requests(server: Server) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n"

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for number in range(3):
            client.sendall(head + str(number).encode())
            received = b""
            while not received.endswith(b"\r\n\r\n%d" % number):
                part = client.recv(65_536)
                assert part, received
                received += part
            assert received.startswith(b"HTTP/1.1 200 ")

    assert [line["body"] for line in server.effects("echo")][-3:] == ["0", "1", "2"]


def test_a_request_makes_one_json_line_and_nothing_else_is_printed(serve: Serve) -> None:
    """Neither an access log, nor a line of gunicorn's, nor a warning of anything."""
    server = serve()
    push = make_push({"number": 1})

    server.post("/store", push.body, headers=push.headers)
    server.post("/store_async", push.body, headers=push.headers)
    request(server.port, "GET", "/healthy")

    server.signal(signal.SIGTERM)
    server.wait()
    lines = [json.loads(line) for line in server.stdout.splitlines()]
    completed = "ucam_faas_function_completed"
    assert [line["message"] for line in lines] == ["ucam_faas_serving", completed, completed]
    assert {line["severity"] for line in lines} == {"INFO"}
    assert server.stderr == ""


def test_what_is_no_http_is_logged_as_json(serve: Serve) -> None:
    server = serve()

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"this is no HTTP\r\n\r\n")
        received = client.recv(65_536)

    assert received.startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: len(server.log()) > 1 or server.stderr, "a line about it")
    assert server.stderr == ""
    wait_until(lambda: server.log()[-1]["severity"] == "WARNING", "the line")


def test_two_workers_share_the_work(serve: Serve) -> None:
    server = serve(WORKERS="2")
    body = b'{"id": "shared", "seconds": 0.05}'

    def both() -> bool:
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: server.post("/work", body).status, range(16)))
        assert set(answers) == {200}
        return len({line["pid"] for line in server.effects("work")}) == 2

    wait_until(both, "both workers have worked")
    assert len(server.log("ucam_faas_serving")) == 1


def test_a_killed_worker_is_replaced(serve: Serve) -> None:
    server = serve(FUNCTION_TARGET="process_id,echo")
    killed = server.pid_of_worker()

    os.kill(killed, signal.SIGKILL)

    assert server.new_pid_of_worker(killed) != killed
    assert server.post("/echo", b"on").body == b"on"
    assert server.popen.poll() is None


def test_a_process_with_too_many_abandoned_threads_is_replaced(serve: Serve) -> None:
    server = serve(UCAM_FAAS_MAX_ABANDONED_THREADS="0", UCAM_FAAS_GRACE_SECONDS="1")
    exhausted = server.pid_of_worker()

    answer = server.post("/hang")

    assert answer.status == 504
    assert server.new_pid_of_worker(exhausted) != exhausted
    assert server.post("/echo", b"on").body == b"on"
    assert len(server.logged("ucam_faas_process_replaced")) == 1
    (abandoned,) = server.logged("ucam_faas_thread_abandoned")
    assert "time.sleep(600)" in abandoned["stack"]
    wait_until(lambda: not _exists(exhausted), "the exhausted process has ended")


def test_a_process_is_kept_while_it_may_have_abandoned_threads(serve: Serve) -> None:
    server = serve(UCAM_FAAS_MAX_ABANDONED_THREADS="2", THREADS="1")
    before = server.pid_of_worker()

    answers = [server.post("/hang").status for _ in range(2)]

    assert answers == [504, 504]
    assert server.pid_of_worker() == before
    assert len(server.logged("ucam_faas_thread_abandoned", 2)) == 2
    assert server.log("ucam_faas_process_replaced") == []


def test_a_dead_letter_that_cannot_be_published_fails_its_delivery_soon(serve: Serve) -> None:
    """Pub/Sub can't be reached: the delivery ends before its sender gives up."""
    server = serve(
        UCAM_FAAS_DEAD_LETTER_TOPIC="projects/p/topics/dead",
        PUBSUB_EMULATOR_HOST=f"127.0.0.1:{free_port()}",
    )
    push = make_push({"number": 1})

    answer = server.post("/give_up", push.body, headers=push.headers, seconds=12)

    assert answer.status == 500
    assert len(server.logged("ucam_faas_dead_letter_failed")) == 1


def test_a_delivery_is_answered_in_time_while_publishing_its_dead_letter_hangs(
    serve: Serve,
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = serve(
            UCAM_FAAS_DEAD_LETTER_TOPIC="projects/p/topics/dead",
            PUBSUB_EMULATOR_HOST=f"127.0.0.1:{silent.getsockname()[1]}",
        )
        push = make_push({"number": 1})

        answer = server.post("/give_up_in_time", push.body, headers=push.headers, seconds=4)

    assert answer.status in (500, 504)


def test_an_http_task_is_served(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import ucam_faas\n"
        "@ucam_faas.http(path='/greetings/<name>')\n"
        "def greet(request, name):\n"
        "    return {'hello': name, 'from': request.args['from']}\n"
    )
    server = serve(FUNCTION_SOURCE=str(tmp_path / "main.py"))

    answer = request(server.port, "GET", "/greetings/ada?from=here")

    assert answer.status == 200
    assert json.loads(answer.body) == {"hello": "ada", "from": "here"}
    assert request(server.port, "POST", "/greetings/ada").status == 405
    assert server.stderr == ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
