"""Under `ucam-faas dev` tasks find the variables that they declare."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas.deploy import layers
from ucam_faas.dev.environment import declare
from ucam_faas.tasks.task import Task

Declare = Callable[..., dict[str, str]]


@pytest.fixture
def declared(tmp_path: Path) -> Declare:
    """Declares the variables of tasks beside the shell's, and returns the environment."""
    (tmp_path / ".git").mkdir()

    def run(*tasks: Task, configuration: str = "", **shell: str) -> dict[str, str]:
        (tmp_path / "ucam-faas.toml").write_text(configuration)
        environ = dict(shell)
        declare(tasks, environ, layers.read(tmp_path))
        return environ

    return run


def task_of(name: str, **options: Any) -> Task:
    def function(payload: bytes) -> None:
        """Do nothing."""

    function.__name__ = name
    task: Task = ucam_faas.message_handler(message_type=None, **options)(function).task
    return task


def test_what_code_and_configuration_declare_is_set(declared: Declare) -> None:
    environ = declared(
        task_of("one", environment={"A": "code"}),
        configuration='environment = { B = "file" }\n[stage.production.environment]\nB = "live"',
    )

    assert environ == {"A": "code", "B": "file"}


def test_what_the_shell_says_wins(declared: Declare) -> None:
    assert declared(task_of("one", environment={"A": "code"}), A="shell") == {"A": "shell"}


def test_tasks_that_want_different_values_are_told(
    declared: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [task_of("one", environment={"A": "1"}), task_of("two", environment={"A": "2"})]

    environ = declared(*tasks, task_of("three", environment={"A": "1"}))

    assert environ == {"A": "1"}
    (record,) = caplog.records
    assert record.message == "ucam_faas_environment_differs"
    assert vars(record)["fields"] == {"task": "two", "variable": "A", "first": "one"}


def test_a_secret_that_is_not_set_is_told_by_its_name(
    declared: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    task = task_of("one", secrets={"KEY": "api-key", "TOKEN": "api-token"})

    environ = declared(task, task_of("two", secrets={"KEY": "api-key"}), TOKEN="here")

    assert environ == {"TOKEN": "here"}
    (record,) = caplog.records
    assert record.message == "ucam_faas_secret_not_set"
    assert vars(record)["fields"] == {"task": "one", "variable": "KEY", "secret": "api-key"}
