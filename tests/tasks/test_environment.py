"""The variables of `environment=` are set where a task runs, and leave nothing behind in tests."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ucam_faas import ConfigurationError, TaskCollection, message_handler
from ucam_faas.tasks.environment import HERE, Conflict, Declared
from ucam_faas.testing import run, serve

VARIABLE = "MODE_OF_THESE_TESTS"


def make(name: str, **options: Any) -> Any:
    """Return a task that returns the variable's value."""

    def function(data: bytes) -> str | None:
        return os.environ.get(VARIABLE)

    function.__name__ = name
    return message_handler(message_type=None, **options)(function)


careful = make("careful", environment={VARIABLE: "careful"})
bold = make("bold", environment={VARIABLE: "bold"})


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    assert VARIABLE not in os.environ
    yield
    assert VARIABLE not in os.environ


# --- setting them


def test_a_variable_that_is_not_set_is_set() -> None:
    environ = {"OTHER": "x"}

    Declared(environ).add_all([careful.task])

    assert environ == {"OTHER": "x", VARIABLE: "careful"}


@pytest.mark.parametrize("value", ["live", ""])
def test_the_environments_own_value_wins(value: str) -> None:
    environ = {VARIABLE: value}

    Declared(environ).add_all([careful.task, bold.task])

    assert environ == {VARIABLE: value}


def test_a_collections_variables_are_declared_and_its_tasks_win() -> None:
    shop = TaskCollection(environment={VARIABLE: "shop", "B": "shop"})

    @shop.message_handler(message_type=None, environment={VARIABLE: "task"})
    def task(data: bytes) -> None: ...

    environ: dict[str, str] = {}
    Declared(environ).add_all([task.task])

    assert environ == {VARIABLE: "task", "B": "shop"}


def test_a_variable_that_a_task_declares_as_a_secret_is_not_set() -> None:
    shop = TaskCollection(environment={VARIABLE: "shop"})

    @shop.message_handler(message_type=None, secrets={VARIABLE: "mode"})
    def task(data: bytes) -> None: ...

    environ: dict[str, str] = {}
    Declared(environ).add_all([task.task])

    assert environ == {}


def test_different_values_in_one_process_are_refused() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Declared({}).add_all([careful.task, bold.task])

    assert str(raised.value) == (
        "The tasks 'careful' and 'bold' run in one process, and declare different values of "
        f"{VARIABLE}. Run each in a process of its own, or set {VARIABLE} in the environment: "
        "that value wins."
    )


def test_the_same_value_is_no_conflict() -> None:
    declared = Declared({})

    assert declared.add("one", {"A": "1"}) == []
    assert declared.add("two", {"A": "1"}) == []
    assert declared.add("three", {"A": "2"}) == [Conflict("A", "one", "three")]


def test_a_value_that_the_process_changes_is_its_own() -> None:
    environ: dict[str, str] = {}
    declared = Declared(environ)
    declared.add("one", {"A": "1"})
    environ["A"] = "mine"

    assert declared.add("two", {"A": "2"}) == []
    assert environ == {"A": "mine"}


# --- in tests


def test_a_task_that_is_run_finds_its_variables() -> None:
    assert run(careful).result == "careful"


def test_the_tests_own_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "of the test")

        assert run(careful).result == "of the test"
        assert run(bold).result == "of the test"


def test_a_task_that_is_served_finds_its_variables_from_its_start_on() -> None:
    values: list[str | None] = []

    def init() -> None:
        values.append(os.environ.get(VARIABLE))

    task = make("task", environment={VARIABLE: "mine"}, init=[init])

    with serve(task) as client:
        assert client.push("task").status == 200
        assert values == ["mine"]
        assert os.environ[VARIABLE] == "mine"


def test_tasks_that_differ_are_not_served_together() -> None:
    with (
        pytest.raises(ConfigurationError, match="'careful' and 'bold'"),
        serve(careful, bold),
    ):
        pass


def test_tasks_that_differ_are_not_served_beside_each_other() -> None:
    """The variable of the first one is not taken for the environment's own."""
    with (
        serve(careful),
        pytest.raises(ConfigurationError, match="'careful' and 'bold'"),
        serve(bold),
    ):
        pass


def test_tasks_that_differ_are_run_one_after_the_other() -> None:
    assert [run(task).result for task in (careful, bold, careful)] == ["careful", "bold", "careful"]


def test_a_run_that_ends_leaves_the_variable_to_those_that_go_on() -> None:
    """Tests run tasks in threads, and close clients in any order."""
    first, second = HERE.during([careful.task]), HERE.during([careful.task])
    first.__enter__()
    second.__enter__()

    first.__exit__(None, None, None)

    assert os.environ[VARIABLE] == "careful"
    second.__exit__(None, None, None)
    assert VARIABLE not in os.environ


def test_a_variable_that_a_task_changes_is_left_to_it() -> None:
    with serve(careful):
        os.environ[VARIABLE] = "changed"

    assert os.environ.pop(VARIABLE) == "changed"


def test_a_start_that_fails_leaves_nothing() -> None:
    def fail() -> None:
        raise ValueError

    task = make("task", environment={VARIABLE: "mine"}, init=[fail])

    with pytest.raises(Exception, match="start-up code"), serve(task):
        pass
