"""`ucam-faas lanes`, and `send --lane`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from tests.support.sources import Sources
from ucam_faas.cli import main
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import ManualClock

TASKS = """
@ucam_faas.message_handler(lanes=["bulk"])
def charge(number: int) -> int: ...

@ucam_faas.message_handler
def tidy(number: int) -> int: ...
"""

Run = Callable[..., Result]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:", clock)
    yield store
    store.close()


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher({"charge-inbox": [], "charge-inbox-bulk": []})


@pytest.fixture
def run(
    sources: Sources,
    monkeypatch: pytest.MonkeyPatch,
    clock: ManualClock,
    store: SqliteStore,
    publisher: MemoryPublisher,
) -> Iterator[Run]:
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(sources.root)
    sources.write("main.py", before=TASKS)
    here = runtime.Runtime(Settings(job_store="memory"), clock, publisher, store=store)
    token = runtime.CURRENT.set(here)
    yield lambda *arguments: CliRunner().invoke(main, arguments)
    runtime.CURRENT.reset(token)


def test_a_lane_is_paused_shown_and_resumed(run: Run, store: SqliteStore) -> None:
    paused = run("lanes", "pause", "charge", "bulk")

    assert paused.stdout == "The lane bulk of charge is paused.\n"
    assert store.paused_lanes("default") == {("charge", "bulk")}
    assert "is paused already" in run("lanes", "pause", "charge", "bulk").stdout
    _, *rows = run("lanes").stdout.splitlines()
    assert [row.split() for row in rows] == [
        ["charge", "bulk", "paused", "0"],
        ["charge", "default", "0"],
    ]
    bulk, default = json.loads(run("lanes", "--json").stdout)
    assert bulk == {"task": "charge", "lane": "bulk", "paused": True, "waiting": 0, "since": None}
    assert not default["paused"]
    assert "goes on: 0 jobs woken" in run("lanes", "resume", "charge", "bulk").stdout
    assert "isn't paused" in run("lanes", "resume", "charge", "bulk").stdout
    assert store.paused_lanes("default") == frozenset()


def test_pausing_and_resuming_are_documents(run: Run) -> None:
    first, second, resumed, again = (
        json.loads(run("lanes", verb, "charge", "bulk", "--json").stdout)
        for verb in ("pause", "pause", "resume", "resume")
    )

    paused = {"task": "charge", "lane": "bulk", "paused": True}
    assert (first, second) == ({**paused, "changed": True}, {**paused, "changed": False})
    assert resumed == {**paused, "paused": False, "changed": True, "woken": 0}
    assert again == {**resumed, "changed": False}


def test_the_jobs_that_wait_in_a_lane_are_counted(
    run: Run, store: SqliteStore, clock: ManualClock
) -> None:
    for id in "123":
        key = Key("default", "charge", id)
        store.insert([Row(key=key, payload=b"1", owner=id, visit=60, lane="bulk")], wait=[0.0])
        clock.advance(60.0)

    assert run("lanes").stdout.splitlines()[1].split() == ["charge", "bulk", "3", "3", "min"]


def test_elsewhere_only_paused_lanes_are_listed(
    run: Run, store: SqliteStore, sources: Sources
) -> None:
    (sources.root / "main.py").unlink()

    assert "No lane is paused in memory" in run("lanes").stdout
    store.pause_lane("default", "charge", "bulk")
    assert run("lanes").stdout.splitlines()[1].split() == ["charge", "bulk", "paused", "0"]


def test_without_a_lane_default_is_paused(run: Run, store: SqliteStore) -> None:
    run("lanes", "pause", "charge")

    assert store.paused_lanes("default") == {("charge", "default")}


def test_a_lane_has_a_number_too(run: Run, store: SqliteStore) -> None:
    run("send", "--lane", "0", "--id", "7", "charge", "1")
    run("lanes", "pause", "elsewhere", "2")

    assert store.paused_lanes("default") == {("elsewhere", "lane-2")}
    assert json.loads(run("jobs", "list", "--lane", "1", "--json").stdout) == []
    assert len(json.loads(run("jobs", "list", "--lane", "0", "--json").stdout)) == 1


def test_a_resumed_lane_has_its_jobs_woken_through_its_inbox(
    run: Run, store: SqliteStore, clock: ManualClock, publisher: MemoryPublisher
) -> None:
    store.pause_lane("default", "charge", "bulk")
    for id, lane in (("1", "bulk"), ("2", "bulk"), ("3", "default")):
        key = Key("default", "charge", id)
        store.insert([Row(key=key, payload=b"1", owner=id, visit=60, lane=lane)], wait=[0.0])
        clock.advance(1.0)

    result = run("lanes", "resume", "charge", "bulk")

    assert result.stdout == "The lane bulk of charge goes on: 2 jobs woken.\n"
    woken = [
        message.attributes["ucam_faas_job"] for message in publisher.topics["charge-inbox-bulk"]
    ]
    assert woken == ["1", "2"], "the oldest first"
    assert publisher.topics["charge-inbox"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("charge", "1"), "'charge' has no lane 'lane-1'. It has default, bulk."),
        (("charge", "Bulk"), "lane='Bulk': no lane can have this name"),
        (("charge", "bukl"), "'charge' has no lane 'bukl'. It has default, bulk."),
        (("tidy", "default"), "'tidy' has no lanes=, so it can't be paused. Give it lanes=1"),
    ],
)
def test_a_lane_that_a_task_of_the_directory_lacks_is_an_error(
    run: Run, store: SqliteStore, arguments: tuple[str, str], text: str
) -> None:
    result = run("lanes", "pause", *arguments)

    assert result.exit_code == 2
    assert text in result.stderr
    assert store.paused_lanes("default") == frozenset()


def test_a_task_of_elsewhere_is_paused_with_a_note(run: Run, store: SqliteStore) -> None:
    result = run("lanes", "pause", "elsewhere", "bulk")

    assert store.paused_lanes("default") == {("elsewhere", "bulk")}
    assert "isn't a task of this directory" in result.output


def test_send_takes_a_lane_and_the_list_shows_it(run: Run, store: SqliteStore) -> None:
    run("send", "--lane", "bulk", "--id", "7", "charge", "1")

    row = store.get(Key("default", "charge", "7"))
    assert row is not None
    assert row.lane == "bulk"
    assert "charge/bulk" in run("jobs").stdout
    assert "7 of charge/bulk: PENDING" in run("jobs", "show", "7").stdout
    assert json.loads(run("jobs", "show", "7", "--json").stdout)["lane"] == "bulk"


def test_send_to_a_lane_that_the_task_lacks_is_an_error(run: Run) -> None:
    result = run("send", "--lane", "fast", "charge", "1")

    assert result.exit_code == 2
    assert "lane='fast': the task 'charge' has the lanes default, bulk." in result.stderr


def test_the_tasks_are_listed_with_their_lanes(run: Run) -> None:
    assert "lanes default, bulk" in run("tasks").stdout
    assert json.loads(run("tasks", "--json").stdout)[0]["lanes"] == ["default", "bulk"]
