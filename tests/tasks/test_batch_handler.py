"""`batch_handler`: the options that it has, and the mistakes that fail the import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    Attribute,
    BatchMessage,
    BatchResult,
    Retry,
    TaskCollection,
    TaskDefinitionError,
    UCAMFAASCouldNotLoadTarget,
    testing,
)
from ucam_faas.cli.tasks import row, trigger
from ucam_faas.config import Settings
from ucam_faas.serving.pushed import pushed
from ucam_faas.tasks.needs import needs_of


class Reading(BaseModel):
    value: int


def store(readings: list[BatchMessage[Reading]]) -> None: ...


def plain(messages: list[Any]) -> None: ...


def test_the_annotation_says_the_type_of_the_messages() -> None:
    task = ucam_faas.batch_handler(store).task

    assert task.message_type is Reading
    assert (task.run_as, task.takes) == ("worker", "Reading")
    assert (task.batch.max_messages, task.batch.max_wait) == (100, timedelta(seconds=1))


def test_the_option_says_it_where_the_annotation_does_not() -> None:
    task = ucam_faas.batch_handler(message_type=Reading, max_messages=5)(plain).task

    assert (task.message_type, task.batch.max_messages) == (Reading, 5)


def of_readings(messages: list[Reading]) -> None: ...


def of_one(message: Reading) -> None: ...


def of_nothing() -> None: ...


def of_sequence(messages: Sequence[BatchMessage[int]]) -> None: ...


def of_attribute(
    messages: list[BatchMessage[int]], tenant: Annotated[str, Attribute()]
) -> None: ...


def test_a_sequence_is_a_list_of_which_nothing_is_changed() -> None:
    assert ucam_faas.batch_handler(of_sequence).task.message_type is int


@pytest.mark.parametrize(
    ("function", "options", "text"),
    [
        (of_readings, {}, "annotated with list.*Reading.*Write def of_readings"),
        (of_one, {}, "a batch is a list of messages"),
        (of_nothing, {}, "takes nothing"),
        (plain, {}, "needs to know the type of the messages"),
        (store, {"message_type": int}, "annotated with messages of .*Reading"),
        (of_attribute, {}, "a batch has many messages, each with its own attributes"),
        (store, {"max_messages": 0}, "max_messages=0: expected a whole number from 1 to 1000"),
        (store, {"max_messages": 1001}, "expected a whole number from 1 to 1000"),
        (store, {"max_messages": True}, "expected a whole number"),
        (store, {"max_wait": 5}, "max_wait=5: expected a timedelta from 0 to 10 minutes"),
        (store, {"max_wait": timedelta(minutes=11)}, "expected a timedelta from 0 to 10 minutes"),
        (store, {"run_as": "service"}, 'run_as="service": Pub/Sub pushes messages one by one'),
        (store, {"run_as": "cloud-run-job"}, "one by one"),
        (store, {"lanes": 3}, "batch_handler has no option 'lanes'"),
        (store, {"idempotent": True}, "batch_handler has no option 'idempotent'"),
        (store, {"id": len}, "batch_handler has no option 'id'"),
        (store, {"unique": len}, "batch_handler has no option 'unique'"),
        (store, {"limit": ucam_faas.Limit("x")}, "batch_handler has no option 'limit'"),
        (store, {"run_in_process": True}, "batch_handler has no option 'run_in_process'"),
    ],
)
def test_a_batch_that_can_never_work_fails_the_import(
    function: Callable[..., Any], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=text):
        ucam_faas.batch_handler(**options)(function)


def test_a_collection_gives_it_the_options_that_it_can_have() -> None:
    collection = TaskCollection(
        memory="1Gi",
        lanes=3,
        retention=timedelta(days=30),
        retry=ucam_faas.RetryPolicy(max_attempts=20),
    )

    task = collection.batch_handler(store).task

    assert (task.run_as, task.lanes) == ("worker", ())
    assert (task.collection_options["memory"], task.policy.retry.max_attempts) == ("1Gi", 20)
    assert [each.name for each in collection.tasks] == ["store"]


@pytest.mark.parametrize("options", [{"idempotent": True}, {"run_in_process": True}])
def test_a_promise_of_its_collection_that_it_cannot_keep_fails_the_import(
    options: dict[str, Any],
) -> None:
    with pytest.raises(TaskDefinitionError, match="'store' takes batches, and has"):
        TaskCollection(**options).batch_handler(store)


def test_nothing_can_be_sent_to_it() -> None:
    function: Any = ucam_faas.batch_handler(store)

    with pytest.raises(TaskDefinitionError, match="no jobs: publish"):
        function.send(Reading(value=1))
    with pytest.raises(TaskDefinitionError, match=r"Write publishes=\[store\]"):
        ucam_faas.message_handler(sends=[function])(of_one)
    assert needs_of(function.task, Settings()).lanes == ()


def test_a_payload_that_it_would_reject_is_not_published() -> None:
    function: Any = ucam_faas.batch_handler(store)

    with pytest.raises(ValueError, match="It takes Reading"):
        function.publish("no reading")


def test_servers_refuse_it_and_say_what_to_do() -> None:
    batch = ucam_faas.batch_handler(store).task
    single = ucam_faas.message_handler(of_one).task

    assert pushed([single, batch], named=False) == [single]
    for tasks, named in (([batch], False), ([single, batch], True)):
        with pytest.raises(UCAMFAASCouldNotLoadTarget, match="`ucam-faas worker --target store`"):
            pushed(tasks, named=named)


def test_a_push_is_a_batch_of_one_on_a_laptop() -> None:
    seen: list[int] = []

    @ucam_faas.batch_handler
    def task(messages: list[BatchMessage[int]]) -> BatchResult:
        seen.extend(each.payload for each in messages)
        return BatchResult({each: Retry for each in messages if each.payload > 1})

    with testing.serve(task) as client:
        statuses = [client.push("task", data).status for data in (1, 2, b"three")]

    assert statuses == [200, 429, 400]
    assert seen == [1, 2]


def test_the_list_of_tasks_says_how_large_its_batches_are() -> None:
    task = ucam_faas.batch_handler(max_messages=500, ordered=True)(store).task

    assert trigger(task) == "store (ordered, batches of 500)"
    assert row(task)["batch"] == {"max_messages": 500, "max_wait_seconds": 1.0}


def test_a_test_runs_a_batch() -> None:
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="one message at a time"):
        testing.run_batch(ucam_faas.message_handler(of_one), {"value": 1})
