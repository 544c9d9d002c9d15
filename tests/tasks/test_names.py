"""`name=` is a task's name everywhere, whatever the function is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.log import Log
from tests.support.sources import Sources
from ucam_faas import (
    TaskCollection,
    TaskDefinitionError,
    cloud_event,
    cloud_event_handler,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.cli import main
from ucam_faas.config import Settings
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks import registry
from ucam_faas.tasks.needs import needs_of
from ucam_faas.testing import conclude, serve
from ucam_faas.testing.tasks import tasks_of

DECORATORS: list[Callable[..., Any]] = [
    raw_event,
    cloud_event,
    message_handler,
    lambda **options: cloud_event_handler(event_data_parser=str, **options),
    lambda **options: http(path="/orders", **options),
    TaskCollection().raw_event,
    TaskCollection().message_handler,
    lambda **options: TaskCollection().http(path="/orders", **options),
]
NAMED = """
@ucam_faas.message_handler(name="import-orders")
def import_them(data: bytes):
    'Import orders.'
"""


@pytest.mark.parametrize("decorate", DECORATORS)
def test_every_decorator_takes_a_name(decorate: Callable[..., Any]) -> None:
    @decorate(name="import-orders")
    def import_them() -> None: ...

    task = import_them.task
    assert (task.name, import_them.__name__) == ("import-orders", "import_them")
    assert needs_of(task, Settings()).name == "import-orders"
    if task.trigger is not None:
        assert (task.route, task.trigger.topic) == ("/import-orders", "import-orders")


def test_a_name_is_the_default_of_all_that_the_task_has_in_the_cloud() -> None:
    @message_handler(name="import-orders", schedule="0 3 * * *")
    def import_them() -> None: ...

    needs = needs_of(import_them.task, Settings())

    assert (needs.topic, needs.path, needs.dead_letter_topic) == (
        "import-orders",
        "/import-orders",
        "import-orders-dead-letter",
    )


def test_a_topic_of_its_own_keeps_its_name() -> None:
    @message_handler(name="import-orders", topic="orders")
    def import_them() -> None: ...

    assert needs_of(import_them.task, Settings()).topic == "orders"


@pytest.mark.parametrize("name", ["", "my task", "1st", "-orders", "_orders", "größe", "a/b", 7])
def test_a_name_that_no_path_or_service_can_have_is_refused(name: Any) -> None:
    with pytest.raises(TaskDefinitionError, match=r"name=.*: expected letters, digits, - and _"):
        message_handler(name=name)(lambda data: None)


def test_a_name_that_answers_health_checks_is_refused_and_such_a_function_is_not() -> None:
    @message_handler(name="order-status")
    def status(data: bytes) -> None: ...

    assert status.task.route == "/order-status"
    with pytest.raises(TaskDefinitionError, match="cannot be named 'status'"):
        raw_event(name="status")(lambda body: None)


def test_a_collection_has_no_name() -> None:
    with pytest.raises(TaskDefinitionError, match="TaskCollection has no option 'name'"):
        TaskCollection(name="orders")  # type: ignore[call-arg]


def test_two_tasks_of_a_collection_cannot_have_one_name() -> None:
    collection = TaskCollection()
    collection.raw_event(name="orders")(lambda body: None)

    with pytest.raises(TaskDefinitionError, match=r"named 'orders'.*give it a name= of its own"):

        @collection.raw_event
        def orders(body: bytes) -> None: ...


def test_a_name_survives_a_collection_that_takes_the_task_in() -> None:
    inner = TaskCollection()
    inner.raw_event(name="orders")(lambda body: None)

    outer = TaskCollection(memory="1Gi")
    outer.include(inner)

    (task,) = outer.tasks
    assert (task.name, task.collection_options["memory"]) == ("orders", "1Gi")


# --- sources


def test_a_source_s_tasks_are_found_by_their_names(sources: Sources) -> None:
    source = sources.write("main.py", "other", before=NAMED)

    assert [task.name for task in registry.load(source)] == ["import-orders", "other"]
    (task,) = registry.load(source, "import-orders")
    assert task.summary == "Import orders."


def test_the_name_of_a_function_leads_to_its_task(sources: Sources) -> None:
    source = sources.write("main.py", before=NAMED)

    with pytest.raises(UCAMFAASCouldNotLoadTarget) as caught:
        registry.load(source, "import_them")

    text = f"No task named 'import_them' in {source}: the function 'import_them' is the task "
    assert str(caught.value) == f"{text}'import-orders'."


def test_two_tasks_of_a_source_cannot_have_one_name(sources: Sources) -> None:
    source = sources.write("main.py", "orders", before=NAMED.replace("import-orders", "orders"))

    with pytest.raises(UCAMFAASCouldNotLoadTarget) as caught:
        registry.load(source)

    assert "two tasks named 'orders'" in str(caught.value)
    assert "give it a name= of its own" in str(caught.value)


def test_a_lambda_may_have_a_name(sources: Sources) -> None:
    before = "handle = ucam_faas.raw_event(name='orders')(lambda body: b'seen ' + body)"
    source = sources.write("main.py", before=before)

    (task,) = registry.load(source)

    assert (task.name, conclude(task, b"it").value) == ("orders", b"seen it")


@pytest.mark.parametrize("keeps_the_name", [True, False])
def test_decorators_above_a_named_task_run(keeps_the_name: bool, sources: Sources) -> None:
    before = f"""
import functools
def noting(function):
    def wrapper(argument):
        return ["noted", function(argument)]
    return functools.wraps(function)(wrapper) if {keeps_the_name} else wrapper

@noting
@ucam_faas.message_handler(name="orders", message_type=int)
def handle(number):
    return 2 * number
"""
    source = sources.write("main.py", before=before)

    (task,) = registry.load(source)

    assert conclude(task, 21).value == ["noted", 42]


# --- where a name is seen


def test_a_named_task_is_served_and_logged_by_its_name(log: Log) -> None:
    @message_handler(name="import-orders", message_type=int)
    def import_them(number: int) -> int:
        return number

    with serve(import_them) as client:
        log.configure()
        assert client.push("import-orders", 1).status == 200
        assert client.push("import_them", 1).status == 200, "the only task answers every path"

    assert [line["task"] for line in log.lines] == ["import-orders"] * 2


def test_tests_name_a_task_by_its_function() -> None:
    @message_handler(name="import-orders")
    def import_them(data: bytes) -> None: ...

    assert [task.name for task in tasks_of((import_them,))] == ["import-orders"]


def test_the_command_line_takes_the_name(sources: Sources, tmp_path: Path, log: Log) -> None:
    source = sources.write("main.py", before=NAMED)
    (tmp_path / "input").write_bytes(b"hello")

    listed = CliRunner().invoke(main, ["tasks", source, "--json"])
    result = CliRunner().invoke(
        main, ["run", "import-orders", source, "--input-file", str(tmp_path / "input")]
    )

    assert [row["name"] for row in json.loads(listed.stdout)] == ["import-orders"]
    assert result.exit_code == 0, result.output
