"""`environment=` and `.env` in real processes: what holds where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .processes import Server, wait_until
from .test_command_line import refused
from .test_functions_framework import start

pytestmark = pytest.mark.slow

TASKS = """
import os
import sys

import ucam_faas


def say(when):
    print("MODE", when, "is", os.environ.get("MODE"), file=sys.stderr, flush=True)


@ucam_faas.raw_event(environment={"MODE": "careful"}, init=[lambda: say("at start")])
def careful(body: bytes) -> str:
    return os.environ["MODE"]


@ucam_faas.raw_event(environment={"MODE": "bold"}, run_as="cloud-run-job")
def bold(body: bytes) -> None:
    say("in the job")
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "tasks" / "main.py"
    path.parent.mkdir()
    path.write_text(TASKS)
    return str(path)


def test_a_served_task_finds_its_variables_from_its_start_on(
    serve: Callable[..., Server], source: str
) -> None:
    server = serve("--source", source, "--target", "careful")

    assert server.post("/careful").body == b"careful"
    assert "MODE at start is careful" in server.stderr


def test_the_platforms_value_wins(serve: Callable[..., Server], source: str) -> None:
    server = serve("--source", source, MODE="live")

    assert server.post("/careful").body == b"live"


def test_a_task_that_is_run_once_finds_its_variables(
    run_once: Callable[..., Server], source: str
) -> None:
    process = run_once("--source", source, "--target", "bold", "--long-running")

    assert process.wait() == 0
    assert "MODE in the job is bold" in process.stderr


def test_tasks_that_differ_are_not_served_in_one_process(
    run_once: Callable[..., Server], source: str
) -> None:
    line = refused(run_once("--source", source, "--port", "0"))

    assert "'careful' and 'bold'" in line
    assert "MODE" in line


def test_a_task_under_functions_framework_finds_its_variables(tmp_path: Path, source: str) -> None:
    server = start(tmp_path / "framework", "careful", source)
    try:
        assert server.post("/").body == b"careful"
        wait_until(lambda: "MODE at start is careful" in server.stderr, "its start-up code ran")
    finally:
        server.kill()
