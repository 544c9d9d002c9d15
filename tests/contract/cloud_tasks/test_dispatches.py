"""When tasks of Cloud Tasks are dispatched, and dispatched again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from google.cloud.tasks_v2 import Queue, Task

from tests.contract.behaviours import Group, skip_without
from tests.contract.pubsub.backends import refused
from tests.contract.pubsub.sink import Sink
from tests.integration.processes import wait_until

from .cloud_tasks import CloudTasks, after, seconds

dispatches = Group("Cloud Tasks: dispatches")
QUICK: Mapping[str, Any] = {"min_backoff": seconds(1), "max_backoff": seconds(1)}


@dispatches("A task is dispatched at its schedule time.", docs="API: Task")
def test_on_time(tasks: CloudTasks, sink: Sink) -> None:
    due = time.monotonic() + 1
    tasks.create(sink, schedule_time=after(seconds=1))

    (push,) = sink.wait_for(1)

    assert due - 0.05 < push.at < due + 5


@dispatches("A status of 200 to 299 ends the task.", docs="API: HttpRequest")
def test_success(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [200, 299]
    for _ in sink.answers.copy():
        tasks.wait_until_gone(tasks.create(sink))

    assert len(sink.pushes) == 2


@dispatches("After any other status the task is tried again.", docs="API: HttpRequest")
def test_failure(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [404, 500, 199, 204]

    task = tasks.create(sink)

    assert len(sink.wait_for(4)) == 4
    tasks.wait_until_gone(task)


@dispatches("Without a response the task is tried again.", docs="API: HttpRequest")
def test_no_response(tasks: CloudTasks) -> None:
    task = tasks.create("http://127.0.0.1:9/")

    wait_until(lambda: tasks.get(task).dispatch_count > 1, "another attempt")


@dispatches("The first retry comes after the minimum backoff.", docs="API: RetryConfig")
def test_backoff(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"min_backoff": seconds(1)})
    sink.answers = [500, 200]
    tasks.create(sink)

    first, second = sink.wait_for(2)

    assert 0.95 < second.at - first.at < 5


@dispatches(
    "The backoff doubles `max_doublings` times, then it grows linearly.", docs="API: RetryConfig"
)
def test_doublings(tasks: CloudTasks, sink: Sink) -> None:
    retry = {"min_backoff": seconds(100), "max_backoff": seconds(3000), "max_doublings": 2}
    tasks.update("retry_config", retry_config=retry)
    sink.answers = [500]
    task = tasks.create(sink)
    waits = []
    for attempt in range(1, 6):
        current = tasks.failed(task, attempt)
        waits.append(round((current.schedule_time - after()).total_seconds() / 100))
        tasks.call("run_task", name=task.name)

    assert waits == [1, 2, 4, 8, 12]


@dispatches("The backoff is never longer than the maximum.", docs="API: RetryConfig")
def test_max_backoff(tasks: CloudTasks, sink: Sink) -> None:
    retry = {"min_backoff": seconds(100), "max_backoff": seconds(150)}
    tasks.update("retry_config", retry_config=retry)
    sink.answers = [500]
    task = tasks.create(sink)
    tasks.failed(task)
    tasks.call("run_task", name=task.name)

    again = tasks.failed(task, 2).schedule_time

    assert 140 < (again - after()).total_seconds() < 151


@dispatches("After `max_attempts` attempts the task is deleted.", docs="API: RetryConfig")
def test_max_attempts(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"max_attempts": 2})
    sink.answers = [500]

    tasks.wait_until_gone(tasks.create(sink))

    assert len(sink.pushes) == 2


@dispatches(
    "Retries end only when the attempts and the retry duration are both used up.",
    docs="API: RetryConfig",
)
def test_both_limits(tasks: CloudTasks, sink: Sink) -> None:
    retry = {**QUICK, "max_attempts": 1, "max_retry_duration": seconds(2)}
    tasks.update("retry_config", retry_config=retry)
    sink.answers = [500]

    tasks.wait_until_gone(tasks.create(sink))

    assert len(sink.pushes) in (2, 3)


@dispatches("A task's own retry config overrides its queue's.", docs="API: Task")
def test_own_retry(tasks: CloudTasks, sink: Sink) -> None:
    skip_without(Task, ["retry_config"])
    sink.answers = [500]

    tasks.wait_until_gone(tasks.create(sink, retry_config={"max_attempts": 1}))

    assert len(sink.pushes) == 1


@dispatches("A task tells its attempts, and how many were answered.", docs="API: Task")
def test_counts(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"min_backoff": seconds(100)})
    sink.answers = [500]

    task = tasks.failed(tasks.create(sink))

    assert (task.dispatch_count, task.response_count) == (1, 1)
    assert task.first_attempt.dispatch_time == task.last_attempt.dispatch_time


@dispatches("The last attempt tells its times and its status.", docs="API: Attempt")
def test_last_attempt(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"min_backoff": seconds(100)})
    sink.answers = [503]
    created = tasks.create(sink)

    last = tasks.failed(created).last_attempt

    assert last.schedule_time == created.schedule_time
    assert last.schedule_time <= last.dispatch_time <= last.response_time
    assert last.response_status.code == 14


@dispatches("The first attempt tells its dispatch time only.", docs="API: Task")
def test_first_attempt(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"min_backoff": seconds(100)})
    sink.answers = [500]

    first = tasks.failed(tasks.create(sink)).first_attempt

    assert "dispatch_time" in first
    assert "response_time" not in first
    assert "response_status" not in first


@dispatches("A paused queue takes tasks, and dispatches none.", docs="API: Queue")
def test_paused(tasks: CloudTasks, sink: Sink) -> None:
    assert tasks.call("pause_queue", name=tasks.queue).state is Queue.State.PAUSED

    tasks.create(sink)
    tasks.let_pass(seconds(0.1))

    assert sink.pushes == []


@dispatches("A resumed queue dispatches.", docs="API: CloudTasks")
def test_resumed(tasks: CloudTasks, sink: Sink) -> None:
    tasks.call("pause_queue", name=tasks.queue)
    tasks.create(sink)

    assert tasks.call("resume_queue", name=tasks.queue).state is Queue.State.RUNNING

    assert len(sink.wait_for(1)) == 1


@dispatches("No more tasks run at once than the queue allows.", docs="API: RateLimits")
def test_concurrency(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("rate_limits", rate_limits={"max_concurrent_dispatches": 2})
    sink.open.clear()
    for _ in range(4):
        tasks.create(sink)
    sink.wait_for(2)
    tasks.let_pass(seconds(0.1))

    assert len(sink.pushes) == 2
    sink.open.set()
    sink.wait_for(4)
    assert sink.most_at_once == 2


@dispatches("A queue dispatches no faster than its rate, after a burst.", docs="API: RateLimits")
def test_rate(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("rate_limits", rate_limits={"max_dispatches_per_second": 2})
    for _ in range(4):
        tasks.create(sink)

    pushes = sink.wait_for(4)

    assert pushes[3].at - pushes[0].at > 0.9


@dispatches("A forced run ignores the schedule time and the pause.", docs="API: CloudTasks")
def test_run(tasks: CloudTasks, sink: Sink) -> None:
    tasks.call("pause_queue", name=tasks.queue)
    task = tasks.create(sink, schedule_time=after(days=1))

    tasks.call("run_task", name=task.name)

    assert len(sink.wait_for(1)) == 1
    tasks.wait_until_gone(task)


@dispatches("A forced run returns the task as dispatched.", docs="API: CloudTasks")
def test_run_returns(tasks: CloudTasks, sink: Sink) -> None:
    task = tasks.create(sink, schedule_time=after(days=1))

    ran = tasks.call("run_task", name=task.name)

    assert ran.dispatch_count == 1
    assert "dispatch_time" in ran.last_attempt
    assert "response_time" not in ran.last_attempt


@dispatches("A forced run that fails is retried after the backoff.", docs="API: CloudTasks")
def test_run_fails(tasks: CloudTasks, sink: Sink) -> None:
    tasks.update("retry_config", retry_config={"min_backoff": seconds(100)})
    sink.answers = [500]
    task = tasks.create(sink, schedule_time=after(days=1))
    tasks.call("run_task", name=task.name)

    again = tasks.failed(task)

    assert 90 < (again.schedule_time - after()).total_seconds() < 101


@dispatches("A task can be deleted while it runs.", docs="API: CloudTasks")
def test_delete_running(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [500]
    sink.open.clear()
    task = tasks.create(sink)
    sink.wait_for(1)

    tasks.call("delete_task", name=task.name)
    sink.open.set()
    tasks.let_pass(seconds(0.3))

    with refused("NOT_FOUND"):
        tasks.get(task)
    assert len(sink.pushes) == 1


dispatches.only_in_the_cloud(
    "A new or idle queue ramps up slowly, and slows down after 429, 503 and many errors.",
    docs="API: HttpRequest",
)
dispatches.only_in_the_cloud("Redirects may be followed.", docs="API: HttpRequest")
dispatches.only_in_the_cloud("Retry-After is considered.", docs="API: HttpRequest")
