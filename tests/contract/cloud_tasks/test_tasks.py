"""Tasks of Cloud Tasks: creating and reading them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.behaviours import Group
from tests.contract.pubsub.backends import refused
from tests.contract.pubsub.sink import Sink

from .cloud_tasks import CloudTasks, after, seconds

tasks_ = Group("Cloud Tasks: tasks")
URL = "http://127.0.0.1:9/"


@pytest.fixture
def waiting(tasks: CloudTasks) -> CloudTasks:
    """A paused queue: its tasks stay."""
    tasks.call("pause_queue", name=tasks.queue)
    return tasks


@tasks_("A task without a name gets a random id.", docs="API: CreateTaskRequest")
def test_random_id(waiting: CloudTasks) -> None:
    first, second = waiting.create(URL), waiting.create(URL)

    assert first.name != second.name
    assert re.fullmatch(re.escape(waiting.name("")) + "[A-Za-z0-9_-]+", first.name)


@tasks_("A task's id has letters, digits, hyphens and underscores, at most 500.", docs="API: Task")
def test_ids(waiting: CloudTasks) -> None:
    waiting.create(URL, id="aZ0-_" * 100)

    for id in ("a.b", "a b", "t" * 501):
        with refused():
            waiting.create(URL, id=id)


@tasks_("The id of a task that exists is ALREADY_EXISTS.", docs="API: CreateTaskRequest")
def test_duplicate(waiting: CloudTasks) -> None:
    waiting.create(URL, id="t")

    with refused("ALREADY_EXISTS"):
        waiting.create(URL, id="t")


@tasks_(
    "The id of a task that was deleted lately is ALREADY_EXISTS.", docs="API: CreateTaskRequest"
)
def test_deleted_id(waiting: CloudTasks) -> None:
    task = waiting.create(URL, id="t")
    waiting.call("delete_task", name=task.name)

    with refused("ALREADY_EXISTS"):
        waiting.create(URL, id="t")


@tasks_(
    "The id of a task that was executed lately is ALREADY_EXISTS.", docs="API: CreateTaskRequest"
)
def test_executed_id(tasks: CloudTasks, sink: Sink) -> None:
    task = tasks.create(sink, id="t")
    tasks.wait_until_gone(task)

    with refused("ALREADY_EXISTS"):
        tasks.create(sink, id="t")


@tasks_("A queue that does not exist is NOT_FOUND.", docs="API: CreateTaskRequest")
def test_no_queue(tasks: CloudTasks) -> None:
    task = {"http_request": {"url": URL}}

    with refused("NOT_FOUND"):
        tasks.call("create_task", parent=f"{tasks.queue}-none", task=task)


@tasks_("Without a schedule time it is the current time.", docs="API: CreateTaskRequest")
def test_now(waiting: CloudTasks) -> None:
    assert abs((waiting.create(URL).schedule_time - after()).total_seconds()) < 5


@tasks_("A schedule time in the past is the current time.", docs="API: CreateTaskRequest")
def test_past(waiting: CloudTasks) -> None:
    task = waiting.create(URL, schedule_time=after(days=-1))

    assert abs((task.schedule_time - after()).total_seconds()) < 5


@tasks_(
    "A task is scheduled at most 30 days (720 hours) ahead.", docs="Cloud Tasks quotas and limits"
)
def test_ahead(waiting: CloudTasks) -> None:
    assert waiting.create(URL, schedule_time=after(days=30, minutes=-1))

    with refused() as refusal:
        waiting.create(URL, schedule_time=after(days=30, minutes=1))
    assert "720" in refusal.message


@tasks_(
    "A task has at most 1 MB; the API reference still says 100 KB.",
    docs="Cloud Tasks quotas and limits",
)
def test_size(waiting: CloudTasks) -> None:
    waiting.create(URL, http_request={"body": b"x" * 1_000_000})

    with refused():
        waiting.create(URL, http_request={"body": b"x" * 1_048_577})


@tasks_("A URL begins with http:// or https://.", docs="API: HttpRequest")
def test_scheme(waiting: CloudTasks) -> None:
    for url in ("ftp://example.com/", "example.com", "", "http://"):
        with refused():
            waiting.create(url)


@tasks_("A URL has at most 2,083 characters.", docs="API: HttpRequest")
def test_long_url(waiting: CloudTasks) -> None:
    waiting.create(URL.ljust(2083, "x"))

    with refused():
        waiting.create(URL.ljust(2084, "x"))


@tasks_("The default method is POST.", docs="API: HttpRequest")
def test_method(waiting: CloudTasks) -> None:
    assert waiting.create(URL).http_request.http_method.name == "POST"


@tasks_("Only POST, PUT and PATCH have a body.", docs="API: HttpRequest")
def test_body(waiting: CloudTasks) -> None:
    def create(method: str) -> Any:
        return waiting.create(URL, http_request={"http_method": method, "body": b"x"})

    for method in ("POST", "PUT", "PATCH"):
        create(method)
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        with refused():
            create(method)


@tasks_("Headers have less than 80 KB.", docs="API: HttpRequest")
def test_headers(waiting: CloudTasks) -> None:
    with refused():
        waiting.create(URL, http_request={"headers": {"a": "b" * 80_000}})


@tasks_("A dispatch deadline is 15 s to 30 min, and 10 min if none is given.", docs="API: Task")
def test_deadline(waiting: CloudTasks) -> None:
    assert waiting.create(URL).dispatch_deadline == seconds(600)
    for good in (15, 1800):
        assert waiting.create(URL, dispatch_deadline=seconds(good))
    for bad in (14.9, 1801):
        with refused():
            waiting.create(URL, dispatch_deadline=seconds(bad))


@tasks_("The basic view, the default, omits the body.", docs="API: Task")
def test_basic(waiting: CloudTasks) -> None:
    task = waiting.create(URL, http_request={"body": b"x"})

    assert task.view.name == "BASIC"
    assert not task.http_request.body
    assert not waiting.get(task).http_request.body


@tasks_("The full view has the body.", docs="API: Task")
def test_full(waiting: CloudTasks) -> None:
    task = waiting.create(URL, http_request={"body": b"x"}, view="FULL")

    assert (task.view.name, task.http_request.body) == ("FULL", b"x")
    assert waiting.get(task, "FULL").http_request.body == b"x"
    assert [each.http_request.body for each in waiting.list(response_view="FULL").tasks] == [b"x"]


@tasks_("The create time is truncated to seconds.", docs="API: Task")
def test_create_time(waiting: CloudTasks) -> None:
    task = waiting.create(URL)

    assert task.create_time.microsecond == 0
    assert abs((task.create_time - after()).total_seconds()) < 5


@tasks_("Tasks are listed a page at a time.", docs="API: ListTasksRequest")
def test_list(waiting: CloudTasks) -> None:
    for _ in range(3):
        waiting.create(URL)

    first = waiting.list(page_size=2)
    rest = waiting.list(page_token=first.next_page_token)

    assert len({task.name for task in [*first.tasks, *rest.tasks]}) == 3
    assert not rest.next_page_token


@tasks_("A deleted task is NOT_FOUND.", docs="API: CloudTasks")
def test_deleted(waiting: CloudTasks) -> None:
    task = waiting.create(URL)
    waiting.call("delete_task", name=task.name)

    for method in ("get_task", "delete_task", "run_task"):
        with refused("NOT_FOUND"):
            waiting.call(method, name=task.name)


@tasks_("A task has a target.", docs="API: Task")
def test_no_target(waiting: CloudTasks) -> None:
    with refused():
        waiting.call("create_task", parent=waiting.queue, task={})


tasks_.only_in_the_cloud(
    "The id of a task that has ended is free after up to 24 hours.", docs="API: CreateTaskRequest"
)
tasks_.only_in_the_cloud(
    "A task that is 31 days old is deleted.", docs="Cloud Tasks quotas and limits"
)
