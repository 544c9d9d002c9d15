"""A reader of stdout that stops: answers, health checks and SIGTERM do not wait for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from .processes import SOURCE, UCAM_FAAS, environment, free_port, request, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server whose output goes to a pipe that nothing reads yet."""
    port = free_port()
    environ = environment(tmp_path, PORT=str(port), FUNCTION_SOURCE=str(SOURCE), WORKERS="1")
    process = subprocess.Popen(
        [UCAM_FAAS, "--target", "echo,close_stdout"],
        env=environ,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )

    def is_served() -> bool:
        try:
            return request(port, "GET", "/healthy").status == 200
        except OSError:
            return False

    with process:
        wait_until(is_served, "it serves")
        yield process, port
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_all_goes_on_without_a_reader(server: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = server
    body = b"x"

    with ThreadPoolExecutor(4) as clients:  # a line has some 500 bytes, a pipe takes 65,536
        answers = list(clients.map(lambda _: request(port, "POST", "/echo", body), range(400)))
    healthy = request(port, "GET", "/healthy")
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    assert process.stdout is not None
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]

    assert {answer.status for answer in answers} == {200}
    assert healthy.body == b"ok"
    assert code == 0
    assert lines[0]["message"] == "ucam_faas_serving"
    assert 50 < sum(line["message"] == "ucam_faas_function_completed" for line in lines) < 400


def test_lines_do_not_reach_a_client_when_a_task_closes_stdout(
    server: tuple[subprocess.Popen[bytes], int],
) -> None:
    """The next connection gets the number 1."""
    process, port = server

    closed = request(port, "POST", "/close_stdout", b"x")
    answers = [request(port, "POST", "/echo", b"hello") for _ in range(5)]
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.stdout is not None
    messages = [json.loads(line)["message"] for line in process.stdout.read().splitlines()]

    assert closed.status == 200
    assert [answer.body for answer in answers] == [b"hello"] * 5
    assert messages.count("ucam_faas_function_completed") == 6
