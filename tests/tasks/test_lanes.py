"""`lanes=`: its forms, its names, and the paths and inboxes that follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from ucam_faas import Lane, Priority, TaskCollection, TaskDefinitionError, http, message_handler
from ucam_faas.tasks.lanes import lanes_of, weights
from ucam_faas.tasks.registry import task_of
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_named, inbox_of, inbox_path, lane_of_path


def task_with(**options: Any) -> Task:
    @message_handler(name="charge", **options)
    def act(data: bytes) -> None: ...

    task = task_of(act)
    assert task is not None
    return task


@pytest.mark.parametrize(
    ("option", "names"),
    [
        (1, ["default"]),
        (3, ["default", "lane-1", "lane-2"]),
        (["bulk"], ["default", "bulk"]),
        (["bulk", "default"], ["default", "bulk"]),
        (["default", Lane("bulk", max_concurrency=2)], ["default", "bulk"]),
        (Priority, ["default", "high", "low"]),
        ([Priority.HIGH, Lane(Priority.LOW, max_concurrency=1)], ["default", "high", "low"]),
    ],
)
def test_every_form_names_the_lanes_with_default_first(option: Any, names: list[str]) -> None:
    assert [lane.name for lane in lanes_of(option)] == names
    assert list(task_with(lanes=option).lane_names) == names


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (0, "lanes=0: expected"),
        (True, "lanes=True"),
        (101, "lanes=101: expected a list"),
        ([f"lane-{number}" for number in range(101)], "there are 101: expected at most 100"),
        ({"bulk": 2}, "lanes={'bulk': 2}: expected a list"),
        (iter(["bulk"]), "expected a list of the task's lanes"),
        ("bulk", "lanes='bulk'"),
        (["bulk", "bulk"], "two lanes are named 'bulk'"),
        ([1], "expected the name of a lane"),
        (["Bulk"], "'Bulk': expected 1 to 30 of a-z"),
        (["bulk-"], "no - last"),
        (["in-inbox"], 'without "inbox"'),
        (["b" * 31], "1 to 30"),
    ],
)
def test_a_wrong_lane_is_refused_at_import_with_the_rule(option: Any, text: str) -> None:
    with pytest.raises(TaskDefinitionError) as caught:
        task_with(lanes=option)

    assert text in str(caught.value)


@pytest.mark.parametrize("options", [{"max_concurrency": 0}, {"weight": 0}, {"weight": 1.5}])
def test_limits_and_weights_are_whole_numbers_from_1(options: Any) -> None:
    with pytest.raises(TaskDefinitionError, match="expected a whole number, from 1"):
        Lane("bulk", **options)


def test_priorities_have_weights_and_other_lanes_are_alike() -> None:
    assert weights(lanes_of(Priority)) == {"default": 3, "high": 10, "low": 1}
    limited = [Lane(Priority.HIGH, max_concurrency=8), Priority.MEDIUM, Lane(Priority.LOW)]
    assert weights(lanes_of(limited)) == {"default": 3, "high": 10, "low": 1}
    assert weights(lanes_of([Priority.HIGH])) == {"default": 3, "high": 10}
    assert weights(lanes_of([Lane(Priority.HIGH, weight=2)])) == {"default": 1, "high": 2}
    assert weights(lanes_of(["bulk", Lane("big", weight=4)])) == {
        "default": 1,
        "bulk": 1,
        "big": 4,
    }
    assert weights(task_with().lanes) == {"default": 1}


def test_a_collection_gives_its_tasks_lanes_and_a_task_may_have_its_own() -> None:
    shop = TaskCollection(lanes=["bulk"], propagate_lane=False)

    @shop.message_handler
    def charge(data: bytes) -> None: ...

    @shop.message_handler(lanes=2, propagate_lane=True)
    def ship(data: bytes) -> None: ...

    @shop.message_handler(run_as="cloud-run-job")
    def report() -> None: ...

    @shop.http(path="/status-of", methods=["GET"])
    def shown(request: Any) -> str: ...

    names = {task.name: (task.lane_names, task.propagate_lane) for task in shop.tasks}
    assert names["charge"] == (("default", "bulk"), False)
    assert names["ship"] == (("default", "lane-1"), True)
    assert names["report"][0] == names["shown"][0] == ("default",)


def test_a_cloud_run_job_and_an_http_task_take_no_lanes() -> None:
    with pytest.raises(TaskDefinitionError, match="lanes="):
        task_with(lanes=2, run_as="cloud-run-job")
    with pytest.raises(TaskDefinitionError, match="no option 'lanes'"):
        http(path="/x", methods=["GET"], lanes=2)(lambda request: "")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["charge", "a-inbox-b", "x-inbox"])
@pytest.mark.parametrize("lane", ["default", "bulk", "lane-1", "a"])
def test_an_inbox_and_a_path_are_read_as_they_are_written(name: str, lane: str) -> None:
    inbox = inbox_named(f"projects/p/topics/{inbox_of(name, lane)}")
    path = inbox_path("/charge", lane)

    assert inbox == (name, lane)
    assert lane_of_path(task_with(), path) == lane


@pytest.mark.parametrize(
    "path", ["/charge", "/charge/inboxes", "/other/inbox", "/charge/inbox/Bulk", "/charge/inbox/"]
)
def test_other_paths_are_of_no_lane(path: str) -> None:
    assert lane_of_path(task_with(), path) is None
