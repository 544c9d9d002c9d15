"""The outcome of each message of a batch, whatever its function does."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

import ucam_faas
from tests.support.log import Log
from ucam_faas import (
    BatchMessage,
    BatchResult,
    DeadLetter,
    Depends,
    ExecutionStatus,
    Ignore,
    PubsubMessage,
    Retry,
    UCAMFAASException,
)
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.message_batch import execution_of
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import name
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import make_message, run, run_batch
from ucam_faas.testing.tasks import _delivery

Numbers = list[BatchMessage[int]]
NOT_OURS: BatchMessage[int] = BatchMessage(7)


def task(act: Any, *, is_async: bool = False, **options: Any) -> Any:
    options.setdefault("name", "task")
    decorate = ucam_faas.batch_handler(message_type=int, **options)
    if not is_async:

        @decorate
        def function(messages: Numbers) -> Any:
            return act(messages)

        return function

    @decorate
    async def function_async(messages: Numbers) -> Any:
        await asyncio.sleep(0)
        return act(messages)

    return function_async


def names(function: Any, *events: Any) -> list[str]:
    return [name(outcome) for outcome in run_batch(function, *events)]


def raising(error: BaseException) -> Any:
    def act(_: Numbers) -> None:
        raise error

    return act


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda _: None, ["done", "done"]),
        (lambda _: BatchResult(), ["done", "done"]),
        (lambda batch: BatchResult({batch[1]: Retry}), ["done", "retry"]),
        (lambda batch: BatchResult({batch[1]: None}), ["done", "done"]),
        (lambda batch: BatchResult({batch[0]: Ignore("late")}), ["ignore", "done"]),
        (lambda batch: BatchResult({batch[0]: DeadLetter("odd")}), ["dead_letter", "done"]),
        (lambda batch: BatchResult({batch[0]: ValueError("odd")}), ["crashed", "done"]),
        (lambda batch: BatchResult({batch[0]: UCAMFAASException("odd")}), ["failed", "done"]),
        (lambda _: Retry, ["retry", "retry"]),
        (lambda _: Ignore("all"), ["ignore", "ignore"]),
        (raising(Retry()), ["retry", "retry"]),
        (raising(DeadLetter("all")), ["dead_letter", "dead_letter"]),
        (raising(ValueError("all")), ["crashed", "crashed"]),
        (raising(SystemExit(3)), ["crashed", "crashed"]),
        (lambda _: [1, 2], ["crashed", "crashed"]),
        (lambda _: {"done": True}, ["crashed", "crashed"]),
        (lambda _: BatchResult({NOT_OURS: Retry}), ["crashed", "crashed"]),
    ],
)
def test_the_outcome_of_each_message(act: Any, expected: list[str], *, is_async: bool) -> None:
    assert names(task(act, is_async=is_async), 1, 2) == expected


def test_a_message_that_the_type_rejects_is_refused_alone() -> None:
    seen: list[list[int]] = []
    function = task(lambda batch: seen.append([each.payload for each in batch]))

    assert names(function, 1, b"two", 3) == ["done", "invalid_payload", "done"]
    assert seen == [[1, 3]]


def test_the_function_is_not_called_without_messages() -> None:
    calls: list[Numbers] = []

    assert names(task(calls.append), b"one", b"two") == ["invalid_payload"] * 2
    assert run_batch(task(calls.append)) == []
    assert calls == []


@pytest.mark.parametrize("value", [[1], BatchResult({NOT_OURS: Retry})])
def test_a_result_that_cannot_be_used_is_explained(value: Any, log: Log) -> None:
    run_batch(task(lambda _: value), 1)

    problem, line = log.lines
    assert problem["message"] == "ucam_faas_batch_result_not_valid"
    assert problem["hint"].startswith("return None, or BatchResult({message: Retry})")
    assert line["severity"] == "ERROR"


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        ({"1": Retry}, "a key of type str: expected messages of the function's list"),
        ({NOT_OURS: "retry"}, "a value of type str: expected Retry"),
        ({NOT_OURS: ValueError}, "a value of type type: expected Retry"),
    ],
)
def test_a_result_of_other_things_is_refused_at_once(failures: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        BatchResult(failures)


def test_messages_are_keys_whatever_their_payload() -> None:
    message = BatchMessage({"not": "hashable"}, PubsubMessage(message_id="5"))

    result = BatchResult({message: Retry})

    assert message in result.failures
    assert BatchMessage({"not": "hashable"}) not in result.failures
    assert repr(message) == "<BatchMessage '5'>"


def test_a_message_has_its_own_facts() -> None:
    seen: list[BatchMessage[int]] = []
    message = make_message(5, attributes={"place": "roof"}, ordering_key="k", message_id="9")

    run_batch(task(seen.extend), message)

    (first,) = seen
    assert (first.id, first.payload, first.ordering_key) == ("9", 5, "k")
    assert (first.attributes, first.publish_time) == ({"place": "roof"}, message.publish_time)
    assert first.pubsub_message == message
    assert first.subscription.startswith("projects/")


def keyed(*pairs: tuple[str, Any]) -> list[PubsubMessage]:
    return [make_message(data, ordering_key=key) for key, data in pairs]


def test_the_later_messages_of_a_failed_one_s_key_come_back() -> None:
    function = task(lambda batch: BatchResult({batch[1]: ValueError()}), ordered=True)
    messages = keyed(("a", 1), ("a", 2), ("b", 3), ("a", 4), ("", 5), ("b", 6))

    assert names(function, *messages) == ["done", "crashed", "done", "retry", "done", "done"]


def test_a_refused_message_keeps_the_later_ones_of_its_key_from_running() -> None:
    seen: list[int] = []
    function = task(lambda batch: seen.extend(each.payload for each in batch), ordered=True)

    outcomes = names(function, *keyed(("a", b"x"), ("a", 2), ("b", 3)))

    assert outcomes == ["invalid_payload", "retry", "done"]
    assert seen == [3]


def test_without_order_a_key_changes_nothing() -> None:
    function = task(lambda batch: BatchResult({batch[0]: Retry}))

    assert names(function, *keyed(("a", 1), ("a", 2))) == ["retry", "done"]


class Refusing(MemoryPublisher):
    def publish(self, *args: Any, **options: Any) -> str:
        raise OSError("no such topic")


def concluded(function: Any, publisher: Any, *messages: Any) -> list[str]:
    """Run a batch with dead letters, and return the names of the outcomes."""
    runtime = Runtime(Settings(dead_letter_topic="dead"), SystemClock(), publisher)
    of_task = function.task
    members = [Execution(of_task, _delivery(of_task, each), runtime) for each in messages]
    keys = [each.ordering_key for each in messages]
    execution = execution_of(of_task, members, keys)
    execute(execution)
    assert execution.batch is not None
    return [name(outcome) for outcome in execution.batch.outcomes]


@pytest.mark.parametrize("is_async", [False, True])
def test_messages_that_can_never_succeed_become_dead_letters_alone(*, is_async: bool) -> None:
    publisher = MemoryPublisher()
    publisher.topics["dead"] = []
    function = task(
        lambda batch: BatchResult({batch[0]: DeadLetter("odd")}), is_async=is_async, ordered=True
    )
    messages = keyed(("a", 1), ("a", b"x"), ("a", 3))

    assert concluded(function, publisher, *messages) == ["dead_lettered", "dead_lettered", "done"]
    letters = [(m.data, m.attributes["ucam_faas_reason"]) for m in publisher.topics["dead"]]
    assert [data for data, _ in letters] == [b"1", b"x"]
    assert letters[0][1] == "odd"


def test_without_dead_letters_nothing_is_lost_and_the_order_is_kept() -> None:
    function = task(lambda batch: BatchResult({batch[0]: DeadLetter("odd")}), ordered=True)
    messages = keyed(("a", 1), ("a", b"x"), ("a", 3), ("b", 4))

    assert concluded(function, Refusing(), *messages) == ["dead_letter", "retry", "retry", "done"]


def test_a_batch_has_one_line_and_a_message_with_another_end_its_own(log: Log) -> None:
    run_batch(task(lambda batch: BatchResult({batch[1]: Retry(reason="later")})), 1, 2, b"x")

    *own, batch = log.lines
    assert [line["outcome"] for line in own] == ["retry", "invalid_payload"]
    assert own[0]["reason"] == "later"
    assert all(line["message_id"] for line in own)
    assert batch["message"] == "ucam_faas_function_completed"
    assert (batch["outcome"], batch["messages"]) == ("done", 3)
    assert batch["outcomes"] == {"done": 1, "retry": 1, "invalid_payload": 1}
    assert "message_id" not in batch


def test_a_batch_that_crashes_has_one_line(log: Log) -> None:
    run_batch(task(raising(ValueError("all"))), 1, 2)

    (line,) = log.lines
    assert (line["severity"], line["outcomes"]) == ("ERROR", {"crashed": 2})
    assert "stack_trace" in line


def test_middleware_and_dependencies_wrap_the_call_with_the_list() -> None:
    seen: list[Any] = []

    def connect() -> str:
        return "connected"

    def around(delivery: Any, call_next: Any) -> Any:
        seen.append((delivery.message, [each.payload for each in delivery.payload]))
        return call_next(delivery)

    @ucam_faas.batch_handler(middleware=[around])
    def function(messages: Numbers, db: Annotated[str, Depends(connect)]) -> BatchResult:
        seen.append(db)
        return BatchResult({messages[0]: Retry})

    assert names(function, 1, 2) == ["retry", "done"]
    assert seen == [(None, [1, 2]), "connected"]


def test_a_task_may_be_called_as_a_function() -> None:
    function = task(lambda batch: BatchResult({each: Retry for each in batch if each.payload > 1}))
    messages = [BatchMessage(1), BatchMessage(2)]

    assert list(function(messages).failures) == [messages[1]]


def test_a_message_that_comes_alone_is_a_batch_of_one() -> None:
    """As `ucam-faas dev` pushes it."""
    failing = task(lambda batch: BatchResult({batch[0]: ValueError("odd")}))

    assert run(task(lambda batch: None), 5).execution.status is ExecutionStatus.COMPLETED
    assert str(run(failing, 5).execution.exception) == "odd"
    assert isinstance(run(task(len), 5).execution.exception, TypeError)
