"""The same tasks module under plain functions-framework, as Cloud Run functions runs it."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import make_message, make_push

from .processes import SCRIPTS, SOURCE, Server, environment, free_port, wait_until

pytestmark = pytest.mark.slow

Framework = Callable[[str], Server]


@pytest.fixture(scope="module")
def framework(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Framework]:
    """Serve one target with functions-framework; one process for each target."""
    with ExitStack() as stack:
        servers: dict[str, Server] = {}

        def serve(target: str) -> Server:
            if target not in servers:
                servers[target] = start(tmp_path_factory.mktemp(target), target)
                stack.callback(servers[target].kill)
            return servers[target]

        yield serve


def start(folder: Path, target: str, source: str = str(SOURCE), **environ: str) -> Server:
    port = free_port()
    options = ["--target", target, "--source", source, "--port", str(port)]
    command = [str(SCRIPTS / "functions-framework"), *options, "--host", "127.0.0.1"]
    server = Server(command, folder, environment(folder, **environ))
    server.port = port

    def listens() -> bool:
        assert server.popen.poll() is None, server.output
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "functions-framework listens")
    except BaseException:
        server.kill()
        raise
    return server


def test_a_message_handler_takes_pushes(framework: Framework) -> None:
    server = framework("store")
    push = make_push({"number": 7}, subscription="projects/p/subscriptions/s")

    answer = server.post("/", push.body, headers=push.headers)

    assert (answer.status, answer.body) == (200, b"OK")
    (effect,) = server.effects("store")
    assert effect["number"] == 7
    assert effect["subscription"] == "projects/p/subscriptions/s"


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        ({"number": "secret"}, 400, b"The payload is invalid"),
        (b"not JSON", 400, b"The payload is invalid"),
    ],
)
def test_a_message_handler_refuses_as_under_our_own_server(
    framework: Framework, data: object, status: int, text: bytes
) -> None:
    push = make_push(data)

    answer = framework("store").post("/", push.body, headers=push.headers)

    assert (answer.status, answer.body) == (status, text)


def test_an_async_message_handler_takes_pushes(framework: Framework) -> None:
    server = framework("store_async")
    push = make_push({"number": 8})

    answer = server.post("/", push.body, headers=push.headers)

    assert answer.status == 200
    assert [line["number"] for line in server.effects("store_async")] == [8]


def test_a_failing_message_handler_answers_500(framework: Framework) -> None:
    server = framework("fail_always")
    push = make_push({"number": 9})

    answer = server.post("/", push.body, headers=push.headers)

    assert answer.status == 500
    assert answer.body == b"An error occurred while handling the CloudEvent"
    assert len(server.effects("fail_always")) == 1


def test_a_raw_task_gets_bytes_and_answers(framework: Framework) -> None:
    server = framework("echo")

    answer = server.post("/any/path", b"hello")

    assert (answer.status, answer.body) == (200, b"hello")
    assert [(line["body"], line["type"]) for line in server.effects("echo")] == [("hello", "bytes")]


def test_a_failing_raw_task_answers_500_without_its_words(framework: Framework) -> None:
    answer = framework("crash").post("/", b"hello")

    assert answer.status == 500
    assert b"unexpected" not in answer.body


@pytest.mark.parametrize("signature", ["cloudevent", "event"])
def test_the_signature_type_has_no_effect_on_tasks(tmp_path: Path, signature: str) -> None:
    server = start(tmp_path, "store", FUNCTION_SIGNATURE_TYPE=signature)
    try:
        push = make_push({"number": 10})

        answer = server.post("/", push.body, headers=push.headers)

        assert (answer.status, answer.body) == (200, b"OK")
        assert [line["number"] for line in server.effects("store")] == [10]
    finally:
        server.kill()


def test_a_wake_runs_its_job_and_stores_the_end(tmp_path: Path) -> None:
    store = SqliteStore(f"{tmp_path}/jobs.db", SystemClock())
    row = Row(key=Key("default", "store", "17"), payload=b'{"number": 11}', owner="me", visit=60)
    store.insert([row], wait=[0])
    server = start(tmp_path, "store", UCAM_FAAS_JOB_STORE=f"sqlite:{tmp_path}/jobs.db")
    try:
        wake = make_message(attributes={"ucam_faas_job": "17"})
        push = make_push(wake, subscription="projects/p/subscriptions/store-inbox")

        statuses = [
            server.post("/store/inbox", push.body, headers=push.headers).status for _ in range(2)
        ]

        assert statuses == [200, 200]
        assert [line["number"] for line in server.effects("store")] == [11]
        stored = store.get(row.key)
        assert stored is not None
        assert (stored.state, stored.attempts, stored.executions) == (State.SUCCESS, 0, 1)
    finally:
        server.kill()
        store.close()


def test_functions_framework_ends_in_order(tmp_path: Path) -> None:
    server = start(tmp_path, "echo")
    try:
        server.post("/", b"hello")

        server.signal(signal.SIGTERM)

        assert server.wait() == 0
        assert "Traceback" not in server.output
    finally:
        server.kill()
