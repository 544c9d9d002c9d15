"""A worker pulls messages, runs them, and answers them as when they are pushed."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from tests.serving.harness import Held, on_a_loop
from ucam_faas import Lane, Priority
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.runtime import Runtime
from ucam_faas.worker.worker import Worker

from .harness import cloud, until, working


def task(act: Any, name: str = "task", **options: Any) -> Any:
    @ucam_faas.message_handler(message_type=None, name=name, **options)
    def function(data: bytes) -> Any:
        return act(data)

    return function


@on_a_loop
async def test_two_stages_in_one_project_get_their_own_messages() -> None:
    """Also those that a task publishes to another by its name in the code."""
    seen: dict[str, list[bytes]] = {"test-": [], "": []}
    async with cloud() as pubsub:
        for prefix, own in seen.items():
            last = task(own.append, name="last")
            first = task(lambda data, last=last: last.publish(data), name="first", publishes=[last])
            worker = pubsub.worker(first, last, name_prefix=prefix, messages_limit=2)
            async with working(worker) as running:
                pubsub.publish(f"{prefix}first", f"for {prefix}".encode())
                await running

        waiting = [pubsub.waiting(f"{prefix}last") for prefix in seen]

    assert seen == {"test-": [b"for test-"], "": [b"for "]}
    assert waiting == [0, 0]


@on_a_loop
async def test_a_subscription_of_another_owner_is_pulled_by_its_own_name() -> None:
    seen: list[bytes] = []
    async with cloud() as pubsub:
        own = task(seen.append, subscription="orders-for-us", topic="orders")
        worker = pubsub.worker(own, messages_limit=1)
        async with working(worker) as running:
            pubsub.publish("orders", b"one")
            await running

        assert seen == [b"one"]
        assert pubsub.waiting("orders-for-us") == 0


@on_a_loop
async def test_messages_of_the_topic_and_of_the_inbox_are_processed() -> None:
    seen: list[bytes] = []
    async with cloud() as pubsub:
        worker = pubsub.worker(task(seen.append), messages_limit=2)
        async with working(worker) as running:
            pubsub.publish("task", b"published")
            pubsub.publish("task-inbox", b"sent")
            result = await running

        assert (result.processed, result.outcomes) == (2, {"done": 2})
        assert sorted(seen) == [b"published", b"sent"]
        assert (pubsub.waiting("task"), pubsub.waiting("task-inbox")) == (0, 0)


@on_a_loop
async def test_an_async_task_runs_on_the_loop() -> None:
    threads: list[threading.Thread] = []

    @ucam_faas.message_handler(message_type=None, name="task")
    async def function(data: bytes) -> None:
        threads.append(threading.current_thread())

    async with cloud() as pubsub:
        worker = pubsub.worker(function, messages_limit=1)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            await running

    assert threads == [threading.main_thread()]


@on_a_loop
async def test_a_failed_message_is_delivered_again() -> None:
    seen: list[bytes] = []

    def fail_once(data: bytes) -> None:
        seen.append(data)
        if len(seen) == 1:
            raise ucam_faas.Retry

    async with cloud() as pubsub:
        again = ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0))
        worker = pubsub.worker(task(fail_once, retry=again), messages_limit=2)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            result = await running

        assert result.outcomes == {"retry": 1, "done": 1}
        assert seen == [b"x", b"x"]
        assert pubsub.waiting("task") == 0


@on_a_loop
async def test_a_dead_letter_goes_to_its_topic_on_an_emulator() -> None:
    def refuse(data: bytes) -> None:
        raise ucam_faas.DeadLetter("no such order")

    async with cloud() as pubsub:
        worker = pubsub.worker(task(refuse), messages_limit=1)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            result = await running

        assert result.outcomes == {"dead_lettered": 1}
        assert (pubsub.waiting("task"), pubsub.waiting("task-dead-letter")) == (0, 1)


@on_a_loop
async def test_the_dead_letters_of_a_stage_go_to_its_own_topics() -> None:
    """After the last attempt; the topic's name is the default, or the task's option."""

    def fail(data: bytes) -> None:
        raise ValueError("always")

    retry = ucam_faas.RetryPolicy(max_attempts=5, min_backoff=timedelta(0))
    tasks = task(fail, "one", retry=retry), task(fail, "two", retry=retry, dead_letter_topic="lost")
    async with cloud() as pubsub:
        for subscription in ("one-dead-letter", "lost-kept"):
            pubsub.subscribe(subscription, subscription.removesuffix("-kept"))
        worker = pubsub.worker(*tasks, name_prefix="test-", messages_limit=10)
        async with working(worker) as running:
            pubsub.publish("test-one", b"x")
            pubsub.publish("test-two", b"x")
            result = await running

        kept = [pubsub.waiting(f"test-{name}") for name in ("one-dead-letter", "lost-kept")]
        others = [pubsub.waiting(name) for name in ("one-dead-letter", "lost-kept")]

    assert result.outcomes == {"crashed": 8, "dead_lettered": 2}
    assert (kept, others) == ([1, 1], [0, 0])


@on_a_loop
async def test_an_emulator_needs_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    def hand_over(data: bytes) -> None:
        following.publish(data)

    def refuse(data: bytes) -> None:
        raise ucam_faas.DeadLetter("no such order")

    following = task(refuse, "following")
    async with cloud() as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.host)
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
        worker = Worker([task(hand_over), following], messages_limit=2, handle_signals=False)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            result = await running

        assert result.outcomes == {"done": 1, "dead_lettered": 1}
        assert pubsub.waiting("following-dead-letter") == 1


@on_a_loop
async def test_a_stop_lets_the_running_message_end_and_returns_the_waiting_ones() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held, concurrency=1))
        async with working(worker) as running:
            pubsub.publish("task", b"1", b"2", b"3")
            await until(held.begun.is_set, "the first runs")
            worker.stop()
            held.release.set()
            result = await running

        assert (result.processed, result.returned) == (1, 1)
        assert pubsub.waiting("task") == 2


@on_a_loop
async def test_work_that_outlasts_the_grace_is_returned() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held), graceful_shutdown_time=0)
        async with working(worker) as running:
            pubsub.publish("task", b"1")
            await until(held.begun.is_set, "it runs")
            worker.stop()
            result = await running

            assert (result.processed, result.returned) == (0, 1)
            assert pubsub.waiting("task") == 1
            held.release.set()


@on_a_loop
async def test_a_stop_does_not_wait_for_a_pubsub_that_takes_no_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ucam_faas.worker.held_messages.ANSWER_SECONDS", 0.05)
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held), graceful_shutdown_time=0)
        running = asyncio.get_running_loop().create_task(worker.run())
        pubsub.topic("task")
        await until(lambda: worker.is_pulling, "it pulls")
        pubsub.publish("task", b"1")
        await until(held.begun.is_set, "it runs")
    worker.stop()

    result = await running

    assert result.returned == 1
    assert "ucam_faas_answers_not_sent" in caplog.messages
    held.release.set()


@on_a_loop
async def test_the_last_message_of_a_limit_may_run_beyond_the_grace() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held), messages_limit=1, graceful_shutdown_time=0)
        async with working(worker) as running:
            pubsub.publish("task", b"1")
            await until(held.begun.is_set, "it runs")
            await until(lambda: not worker.is_pulling, "it pulls no more")
            await asyncio.sleep(0.01)  # a grace would be over
            held.release.set()
            result = await running

        assert (result.processed, result.returned) == (1, 0)
        assert pubsub.waiting("task") == 0


@on_a_loop
async def test_a_stop_ends_the_last_message_of_a_limit_after_the_grace() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held), messages_limit=1, graceful_shutdown_time=0)
        async with working(worker) as running:
            pubsub.publish("task", b"1")
            await until(held.begun.is_set, "it runs")
            await until(lambda: not worker.is_pulling, "it pulls no more")
            worker.stop()
            result = await running

        assert (result.processed, result.returned) == (0, 1)
        held.release.set()


@on_a_loop
async def test_no_more_messages_run_at_a_time_than_the_task_and_the_worker_allow() -> None:
    running_now, most = 0, {"a": 0, "all": 0}
    lock = asyncio.Lock()

    def counting(name: str, limit: int) -> Any:
        @ucam_faas.message_handler(message_type=None, name=name, concurrency=limit)
        async def function(data: bytes) -> None:
            nonlocal running_now
            running_now += 1
            most["all"] = max(most["all"], running_now)
            async with lock:
                await asyncio.sleep(0)
            running_now -= 1

        return function

    async with cloud() as pubsub:
        worker = pubsub.worker(
            counting("one", 2), counting("two", 5), tasks_limit=3, messages_limit=40
        )
        async with working(worker) as running:
            pubsub.publish("one", *[b"x"] * 20)
            pubsub.publish("two", *[b"x"] * 20)
            result = await running

    assert result.processed == 40
    assert most["all"] <= 3


@on_a_loop
async def test_messages_of_one_key_run_in_order() -> None:
    seen: list[bytes] = []

    @ucam_faas.message_handler(message_type=None, name="task", ordered=True)
    async def function(data: bytes) -> None:
        await asyncio.sleep(0.001 if data == b"0" else 0)
        seen.append(data)

    async with cloud() as pubsub:
        worker = pubsub.worker(function, messages_limit=20)
        async with working(worker) as running:
            pubsub.publish("task", *[str(number).encode() for number in range(20)], key="k")
            await running

    assert seen == [str(number).encode() for number in range(20)]


@on_a_loop
async def test_start_up_code_runs_before_the_first_message() -> None:
    events: list[str] = []

    async with cloud() as pubsub:
        worker = pubsub.worker(
            task(lambda data: events.append("run"), init=[lambda: events.append("init")]),
            messages_limit=1,
        )
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            await running

    assert events == ["init", "run"]


@on_a_loop
async def test_start_up_code_that_fails_ends_the_worker() -> None:
    def fail() -> None:
        raise ValueError("no database")

    async with cloud() as pubsub:
        worker = pubsub.worker(task(print, init=[fail]))

        with pytest.raises(UCAMFAASCouldNotLoadTarget, match="no database"):
            await worker.run()


@on_a_loop
async def test_a_subscription_that_pushes_is_refused() -> None:
    async with cloud() as pubsub:
        endpoint = {"pushEndpoint": "http://127.0.0.1:1/task"}
        pubsub.subscribe("task", "task", pushConfig=endpoint)
        worker = pubsub.worker(task(print))

        with pytest.raises(ConfigurationError) as caught:
            await worker.run()

    assert (
        "The subscription projects/local/subscriptions/task of the task 'task' pushes to "
        "http://127.0.0.1:1/task; expected a subscription without a push endpoint"
    ) in str(caught.value)


@on_a_loop
async def test_a_missing_subscription_is_named() -> None:
    async with cloud() as pubsub:
        worker = pubsub.worker(task(print), auto_declare=False)

        with pytest.raises(ConfigurationError, match=r"subscriptions/task .* doesn't exist"):
            await worker.run()


@on_a_loop
async def test_a_deployment_without_jobs_has_no_inbox() -> None:
    """As Terraform makes it of the plan."""
    seen: list[bytes] = []
    async with cloud() as pubsub:
        pubsub.subscribe("task", "task")
        worker = pubsub.worker(task(seen.append), auto_declare=False, messages_limit=1)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            await running

    assert seen == [b"x"]


@on_a_loop
async def test_a_deployment_with_jobs_needs_each_inbox(tmp_path: Path) -> None:
    async with cloud() as pubsub:
        pubsub.subscribe("task", "task")
        store = f"sqlite:{tmp_path}/jobs.db"
        worker = pubsub.worker(task(print), auto_declare=False, job_store=store)

        with pytest.raises(ConfigurationError, match=r"subscriptions/task-inbox .* doesn't exist"):
            await worker.run()


@pytest.mark.slow
@on_a_loop
async def test_a_subscription_that_is_deleted_later_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[bytes] = []
    async with cloud() as pubsub:
        worker = pubsub.worker(task(seen.append))
        async with working(worker):
            pubsub.publish("task", b"x")
            await until(lambda: seen, "it runs")

            pubsub.delete("task")

            await until(lambda: "ucam_faas_pull_failed" in caplog.messages, "it is logged")

    (record,) = [each for each in caplog.records if each.message == "ucam_faas_pull_failed"]
    assert record.fields["code"] == "NOT_FOUND"  # type: ignore[attr-defined]


@on_a_loop
async def test_an_emulator_that_is_not_there_is_an_error() -> None:
    async with cloud() as pubsub:
        worker = pubsub.worker(task(print))
    with pytest.raises(ConfigurationError, match=r"UNAVAILABLE.*`ucam-faas emulator`"):
        await worker.run()


@on_a_loop
async def test_a_worker_without_credentials_leaves_no_process_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "missing.json")
    runtime = Runtime(Settings(project="shop"), SystemClock())
    worker = Worker([task(print)], runtime=runtime, handle_signals=False)

    with pytest.raises(ConfigurationError, match=r"no credentials.*missing\.json"):
        await worker.run()

    assert worker._session is not None
    process = worker._session._heartbeat._process
    assert process is not None
    assert process.returncode is not None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"messages_limit": 0}, "messages_limit is 0; expected a whole number, at least 1"),
        ({"messages_limit": "3"}, "messages_limit is '3'; expected a whole number, at least 1"),
        ({"messages_limit": True}, "messages_limit is True; expected a whole number"),
        ({"tasks_limit": 0}, "tasks_limit is 0; expected a whole number, at least 1"),
        ({"tasks_limit": None}, "tasks_limit is None; expected a whole number"),
        ({"lease_seconds": 9}, "lease_seconds is 9; expected a whole number, 10 to 600"),
        ({"lease_seconds": 10.5}, "lease_seconds is 10.5; expected a whole number"),
        ({"graceful_shutdown_time": -1}, "graceful_shutdown_time is -1; expected a number, at"),
        ({"graceful_shutdown_time": math.nan}, "graceful_shutdown_time is nan; expected a number"),
    ],
    ids=str,
)
def test_a_number_out_of_range_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        ucam_faas.Worker([task(print)], **options)


def test_a_task_that_gets_no_messages_is_refused() -> None:
    @ucam_faas.http(path="/page")
    def page(request: Any) -> str:
        return ""

    with pytest.raises(ConfigurationError, match="'page' is an HTTP task, and gets no messages"):
        ucam_faas.Worker([page])


def test_http_tasks_of_a_collection_are_left_out() -> None:
    collection = ucam_faas.TaskCollection()

    @collection.http(path="/page")
    def page(request: Any) -> str:
        return ""

    with pytest.raises(ConfigurationError, match=r"no task to pull\. Found: 'page'"):
        ucam_faas.Worker(collection)


def test_a_task_that_is_named_twice_is_pulled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    same = task(print)

    worker = Worker([same, same])

    assert [each.name for each in worker._options.tasks] == ["task"]


def test_two_tasks_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")

    with pytest.raises(ConfigurationError, match="The subscription 'task-inbox' would be that"):
        Worker([task(print), task(print)])
    with pytest.raises(ConfigurationError, match="of the task 'task' and of the task 'task-inbox'"):
        Worker([task(print), task(print, "task-inbox")])


def test_what_is_not_a_task_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a TaskCollection"):
        ucam_faas.Worker([print])


@on_a_loop
async def test_each_lane_is_pulled_within_its_limit_and_by_its_weight() -> None:
    """All lanes have a backlog, and one message of the task runs at a time."""
    started: list[str] = []
    held = asyncio.Event()

    @ucam_faas.message_handler(message_type=None, name="task", lanes=Priority, concurrency=1)
    async def function(data: bytes) -> None:
        started.append(data.decode())
        if data == b"first":
            await held.wait()

    async with cloud() as pubsub:
        worker = pubsub.worker(function, messages_limit=87)
        inboxes = {"low": "task-inbox-low", "default": "task-inbox", "high": "task-inbox-high"}
        async with working(worker) as running:
            for inbox in inboxes.values():  # short runs: the worker takes many of each
                pubsub.publish(inbox, *[b"short"] * 10)
            await until(lambda: len(started) == 30, "the short ones have run")
            pubsub.publish("task", b"first")
            await until(lambda: started[30:], "the first runs")
            for lane, inbox in inboxes.items():
                pubsub.publish(inbox, *[lane.encode()] * 60)
            await until(lambda: worker_holds(worker, 3 * 60), "all lanes have a backlog")
            held.set()
            await running

    assert Counter(started[31:45]) == {"high": 10, "default": 3, "low": 1}
    assert Counter(started[31:]) == {"high": 40, "default": 12, "low": 4}


def worker_holds(worker: Any, number: int) -> bool:
    """Return True if a worker has pulled so many messages that wait."""
    queues = worker._session._dispatcher._queues.values()
    return sum(len(queue.waiting) for queue in queues) == number


@on_a_loop
async def test_a_worker_runs_no_more_of_a_lane_than_its_limit() -> None:
    running_now, most = Counter[str](), Counter[str]()

    @ucam_faas.message_handler(
        message_type=None, name="task", lanes=[Lane("bulk", max_concurrency=2)]
    )
    async def function(data: bytes) -> None:
        lane = data.decode()
        running_now[lane] += 1
        most[lane] = max(most[lane], running_now[lane])
        await asyncio.sleep(0.001)
        running_now[lane] -= 1

    async with cloud() as pubsub:
        worker = pubsub.worker(function, messages_limit=60)
        async with working(worker) as running:
            pubsub.publish("task-inbox-bulk", *[b"bulk"] * 30)
            pubsub.publish("task-inbox", *[b"default"] * 30)
            result = await running

    assert result.processed == 60
    assert most["bulk"] == 2
    assert most["default"] > 2
