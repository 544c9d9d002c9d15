"""`ucam-faas dev` with another Pub/Sub than its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, Process, wait_until

from .cloud import PROJECT, SOURCE, Dev, Rest, descendants, environ_of, refused, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """Another emulator."""
    folder = tmp_path_factory.mktemp("other")
    command = [UCAM_FAAS, "emulator", "--port", "0", "--memory"]
    process = Process(command, folder, environ_of(folder))
    try:
        match = wait_until(lambda: re.search(r" on 127.0.0.1:(\d+)", process.stdout), "it is ready")
        yield Rest(int(match[1]))
    finally:
        process.kill()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, other: Rest) -> Iterator[Dev]:
    """One that uses it."""
    folder = tmp_path_factory.mktemp("dev")
    with running(folder, PUBSUB_EMULATOR_HOST=f"127.0.0.1:{other.port}") as dev:
        yield dev


def test_its_topics_and_pull_subscriptions_are_made_there(dev: Dev, other: Rest) -> None:
    subscription = other.subscription("store-dev")

    assert subscription["topic"] == f"projects/{PROJECT}/topics/store"
    assert not subscription.get("pushConfig", {}).get("pushEndpoint")
    dead_letters = subscription["deadLetterPolicy"]["deadLetterTopic"]
    assert other.exists(dead_letters)
    kept = other.subscription("fail-dead-letter-dev")
    assert kept["messageRetentionDuration"] == "2678400s"
    assert dev.rest.get(f"projects/{PROJECT}/subscriptions") == {}


def test_what_is_published_there_reaches_the_task(dev: Dev, other: Rest) -> None:
    number = other.publish("store", b'{"number": 7}')

    dev.wait_effects("store", number=7)
    dev.wait_shown("done", f"store  message {number}, attempt 1")


def test_a_failing_message_is_tried_again_and_then_dead(dev: Dev, other: Rest) -> None:
    other.publish("fail", b"again and again")

    dev.wait_effects("fail", data="again and again", count=5)

    dev.wait_shown("crashed", "attempt 5, dead-lettered")


def test_a_schedule_of_ours_publishes_there(dev: Dev) -> None:
    assert dev.run("schedules", "run", "clean_up").returncode == 0

    dev.wait_effects("clean_up")


def test_the_publish_verb_publishes_there(dev: Dev) -> None:
    done = dev.run("publish", "store", json.dumps({"number": 8}))

    assert done.returncode == 0, done.stderr
    dev.wait_effects("store", number=8)


# --- one that does not answer


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def idle() -> Iterator[int]:
    """The port of a server that greets as HTTP/2 servers do, and answers no call."""
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def greet() -> None:
            with suppress(OSError):  # the listener is closed at the end of the test
                while True:
                    connections.append(listener.accept()[0])
                    connections[-1].sendall(settings)

        thread = threading.Thread(target=greet)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in connections:
            connection.close()


def command(folder: Path, host: str) -> Process:
    """Start `ucam-faas dev` with this PUBSUB_EMULATOR_HOST."""
    shutil.copy(SOURCE, folder / "main.py")
    arguments = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0", "--no-dashboard"]
    return Process(arguments, folder, environ_of(folder, PUBSUB_EMULATOR_HOST=host))


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "127.0.0.1", "http://127.0.0.1:{port}"])
def test_where_nothing_answers_it_says_so_and_how_to_do_without(tmp_path: Path, host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nothing listens, and no other process gets it
        host = host.format(port=free.getsockname()[1])
        process = command(tmp_path, host)
        try:
            line = refused(process)
        finally:
            process.kill()

    assert host in line
    assert "unset PUBSUB_EMULATOR_HOST" in line
    assert "--pubsub embedded" in line


def test_one_that_accepts_and_never_greets_is_given_up_before_anything_is_made(
    tmp_path: Path, silent: int
) -> None:
    process = command(tmp_path, f"127.0.0.1:{silent}")
    try:
        line = refused(process)
    finally:
        process.kill()

    assert "nothing answers there (no answer)" in line


def test_one_that_greets_and_answers_no_call_is_given_up(tmp_path: Path, idle: int) -> None:
    process = command(tmp_path, f"127.0.0.1:{idle}")
    try:
        assert process.wait(60) == 2
    finally:
        process.kill()

    assert "Pub/Sub did not create the topic" in process.stderr
    assert "Traceback" not in process.output


def test_control_c_ends_the_wait_for_it(tmp_path: Path, idle: int) -> None:
    process = command(tmp_path, f"127.0.0.1:{idle}")
    try:
        wait_until(lambda: descendants(process.popen.pid), "the tasks are loaded")
        process.signal(signal.SIGINT)

        assert process.wait(60) == 0
    finally:
        process.kill()


def test_googles_pubsub_needs_a_project(tmp_path: Path) -> None:
    command = [UCAM_FAAS, "dev", "--no-dashboard", "--pubsub", "google"]
    process = Process(command, tmp_path, environ_of(tmp_path))
    try:
        assert process.wait() == 2
    finally:
        process.kill()

    assert "--project" in process.stderr
