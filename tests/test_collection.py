"""Collections hand their options down, nest, and hold one task of a name."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ucam_faas import RetryPolicy, Schedule, TaskCollection, TaskDefinitionError
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task

MINUTE = timedelta(minutes=1)


def add(collection: TaskCollection, name: str = "task", **options: Any) -> Any:
    def function(payload: bytes) -> bytes:
        return payload

    function.__name__ = function.__qualname__ = name
    return collection.message_handler(message_type=None, **options)(function)


def first() -> None:
    """Start something."""


def second() -> None:
    """Start something else."""


def test_a_task_has_the_defaults_of_its_collection() -> None:
    retry = RetryPolicy(max_attempts=9)
    collection = TaskCollection(timeout=MINUTE, retry=retry, memory="1Gi")

    task = add(collection).task

    assert (task.policy.timeout, task.policy.retry) == (MINUTE, retry)
    assert task.collection_options["memory"] == "1Gi"
    assert task.own_options == {}, "the options on the decorator itself are kept apart"


def test_what_a_decorator_says_wins() -> None:
    collection = TaskCollection(timeout=MINUTE, concurrency=4)

    task = add(collection, timeout=2 * MINUTE).task

    assert (task.policy.timeout, task.policy.concurrency) == (2 * MINUTE, 4)


def test_included_tasks_get_what_nothing_nearer_says() -> None:
    inner = TaskCollection(concurrency=2, environment={"A": "inner"})
    function = add(inner, timeout=MINUTE)
    outer = TaskCollection(
        concurrency=8,
        timeout=2 * MINUTE,
        memory="1Gi",
        environment={"A": "outer", "B": "outer"},
    )

    outer.include(inner)

    policy = function.task.policy
    assert (policy.concurrency, policy.timeout) == (2, MINUTE)
    assert function.task.collection_options == {
        "concurrency": 2,
        "timeout": 2 * MINUTE,
        "memory": "1Gi",
        "environment": {"A": "inner", "B": "outer"},
    }


def test_defaults_reach_tasks_three_levels_down_and_those_made_later() -> None:
    top, middle, bottom = TaskCollection(memory="2Gi"), *_two()
    early = add(bottom, "early")
    middle.include(bottom)
    top.include(middle)

    late = add(bottom, "late")

    assert {function.task.collection_options["memory"] for function in (early, late)} == {"2Gi"}
    assert [task.name for task in top.tasks] == ["early", "late"]


def test_start_up_code_runs_on_the_outermost_first_and_each_once() -> None:
    outer = TaskCollection(init=[first])
    function = add(outer, init=[second, first])

    assert function.task.init == (first, second)


def test_a_task_function_still_runs_and_executes_what_it_was_made_anew_as() -> None:
    inner = TaskCollection()
    function = add(inner)
    TaskCollection(timeout=MINUTE).include(inner)

    assert function(b"x") == b"x"
    assert function.task.policy.timeout == MINUTE


def test_two_tasks_of_one_name_are_refused_where_they_meet() -> None:
    collection, other = _two()
    add(collection, "send")

    with pytest.raises(TaskDefinitionError, match="named 'send'"):
        add(collection, "send")
    add(other, "send")
    with pytest.raises(TaskDefinitionError, match="named 'send'"):
        collection.include(other)
    assert [task.name for task in collection.tasks] == ["send"], (
        "the refused collection is not in it"
    )


def test_names_are_unique_across_branches() -> None:
    left, right = _two()
    TaskCollection().include(left, right)
    add(left, "send")

    with pytest.raises(TaskDefinitionError, match="named 'send'"):
        add(right, "send")


def test_a_collection_is_in_one_place_and_not_in_itself() -> None:
    collection, other = _two()
    collection.include(other)

    with pytest.raises(TaskDefinitionError, match="in a collection already"):
        TaskCollection().include(other)
    with pytest.raises(TaskDefinitionError, match="holds the collection"):
        other.include(collection)
    with pytest.raises(TaskDefinitionError, match="holds the collection"):
        collection.include(collection)
    with pytest.raises(TaskDefinitionError, match="expected a TaskCollection"):
        collection.include("billing")  # type: ignore[arg-type]


def test_a_default_that_makes_a_task_impossible_changes_no_task() -> None:
    inner = TaskCollection()
    functions = [add(inner, "small", cpu=1), add(inner, "large", memory="1Gi")]
    before = [function.task for function in functions]

    with pytest.raises(TaskDefinitionError, match="memory of at least 4Gi"):
        TaskCollection(cpu=8).include(inner)

    assert [function.task for function in functions] == before
    assert add(inner, "later").task.collection_options == {}


def test_an_option_by_position_is_refused_with_the_right_form() -> None:
    with pytest.raises(TaskDefinitionError, match="a collection has no name, and takes options by"):
        TaskCollection("billing")  # type: ignore[arg-type]


def test_a_default_that_makes_a_task_impossible_is_refused_with_the_tasks_name() -> None:
    inner, outer = TaskCollection(), TaskCollection(cpu=4, memory="2Gi")

    @inner.message_handler(memory="1Gi")
    def charge(pence: int) -> None: ...

    with pytest.raises(TaskDefinitionError, match=r"^task 'charge': .*memory"):
        outer.include(inner)


def test_a_default_is_checked_at_once_and_must_be_one() -> None:
    with pytest.raises(TaskDefinitionError, match="has no option 'topic'"):
        TaskCollection(topic="orders")  # type: ignore[call-arg]
    with pytest.raises(TaskDefinitionError, match="has no option 'memry': did you mean 'memory'"):
        TaskCollection(memry="1Gi")  # type: ignore[call-arg]
    with pytest.raises(TaskDefinitionError, match="memory='1 GB'"):
        TaskCollection(memory="1 GB")


def test_jobs_and_http_tasks_do_without_the_defaults_that_do_not_concern_them() -> None:
    collection = TaskCollection(
        concurrency=4, max_instances=3, run_as="cloud-run-job", retry=RetryPolicy()
    )

    @collection.http(path="/page")
    def page(request: Any) -> str:
        return ""

    job = add(collection, schedule=Schedule("0 3 * * *")).task

    assert (job.run_as, page.task.run_as) == ("cloud-run-job", "service")
    assert page.task.policy.concurrency == 4


def test_every_decorator_is_a_method() -> None:
    collection = TaskCollection(timeout=MINUTE)

    @collection.raw_event
    def raw(body: bytes) -> None:
        """Do nothing."""

    @collection.cloud_event
    def event(event: Any) -> None:
        """Do nothing."""

    @collection.cloud_event_handler(event_data_parser=lambda event: event)
    def data(event: Any) -> None:
        """Do nothing."""

    assert {task.policy.timeout for task in collection.tasks} == {MINUTE}


def test_a_module_that_holds_a_collection_serves_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the tasks' own modules are."""
    (tmp_path / "elsewhere_billing.py").write_text(
        "from ucam_faas import TaskCollection\n"
        "billing = TaskCollection()\n"
        "@billing.message_handler(message_type=int)\n"
        "def charge(pence): ...\n"
    )
    (tmp_path / "collected_tasks.py").write_text(
        "from ucam_faas import TaskCollection\n"
        "import elsewhere_billing\n"
        "everything = TaskCollection(memory='1Gi')\n"
        "everything.include(elsewhere_billing.billing)\n"
        "@everything.message_handler(message_type=int)\n"
        "def refund(pence): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    try:
        tasks: list[Task] = registry.load("collected_tasks")
    finally:
        for name in ("elsewhere_billing", "collected_tasks"):
            sys.modules.pop(name, None)
            registry.forget(name)

    assert sorted(task.name for task in tasks) == ["charge", "refund"]
    assert {task.collection_options["memory"] for task in tasks} == {"1Gi"}


def _two() -> tuple[TaskCollection, TaskCollection]:
    return TaskCollection(), TaskCollection()
