"""The lines of `ucam-faas dev` about jobs, and the file of its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ucam_faas.dev.history import History
from ucam_faas.dev.job_file import job_file
from ucam_faas.dev.job_news import JobNews
from ucam_faas.dev.observer import SessionObserver
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock

KEY = Key("app", "charge", "17")
WAKE = Message(7, 0.0, "", {"ucam_faas_job": "17"}, b"")
INBOX = "projects/p/subscriptions/charge-inbox"


class Scene:
    """An observer with one job."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = SqliteStore(":memory:", self.clock)
        self._lines: list[str] = []
        stream = Stream(self._lines.append, colours=False)
        self.observer = SessionObserver(stream, History())
        self.observer.follow_jobs(JobNews(stream, self.store, "app"))
        self.store.insert([Row(key=KEY, payload=b"{}", owner="me", visit=60.0)], wait=[0.0])

    @property
    def lines(self) -> list[str]:
        """The lines, without their times."""
        return [line[14:] for line in self._lines]

    def end(self, state: State, **values: Any) -> None:
        """Run the job, and let its wake be acknowledged."""
        row = self.store.claim(KEY, lease=60, instance="here")
        assert row is not None
        change = Change(state=state, cause="ended", visit=60.0, **values)
        self.store.change(KEY, change, fence=row.fence)
        self.observer.acknowledged(INBOX, WAKE, 1, status=200)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.store.close()


def test_a_wake_is_no_news_but_the_start_of_its_job_is(scene: Scene) -> None:
    scene.observer.published("projects/p/topics/charge-inbox", [WAKE])
    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == ["started   charge  job 17, attempt 1"]


def test_a_wake_too_many_is_no_news(scene: Scene) -> None:
    scene.store.claim(KEY, lease=60, instance="here")

    scene.observer.delivered(INBOX, WAKE, 1)
    scene.observer.acknowledged(INBOX, WAKE, 1, status=200)

    assert scene.lines == []


def test_a_retry_tells_its_time(scene: Scene) -> None:
    scene.end(State.PENDING, wait=10.0, failed=True)

    assert scene.lines == ["retry     charge  job 17, attempt 1 failed, again in 10 s"]


@pytest.mark.parametrize(
    ("state", "values", "line"),
    [
        (State.FAILURE, {"failed": True}, "dead      charge  job 17, FAILURE after 1 attempt"),
        (State.CANCELLED, {}, "dead      charge  job 17, CANCELLED"),
        (State.PAUSED, {}, "paused    charge  job 17, until: ucam-faas jobs resume 17"),
    ],
)
def test_an_end_without_success_is_told(
    scene: Scene, state: State, values: dict[str, Any], line: str
) -> None:
    scene.end(state, **values)

    assert scene.lines == [line]


def test_a_success_is_left_to_the_log_of_the_task(scene: Scene) -> None:
    scene.end(State.SUCCESS, result=b"1")

    assert scene.lines == []


def test_a_refused_wake_is_told(scene: Scene) -> None:
    scene.observer.failed(INBOX, WAKE, 1, status=503, retry_seconds=1.0)

    assert scene.lines == ["retry     charge  job 17 could not start (503), again in 1 s"]


def test_a_wake_of_a_job_that_is_gone_is_no_news(scene: Scene) -> None:
    scene.store.delete(KEY, states=frozenset(State))

    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == []


def test_a_message_in_an_inbox_is_shown_as_any_other(scene: Scene) -> None:
    scene.observer.delivered(INBOX, Message(8, 0.0, "", {}, b"x"), 1)

    assert scene.lines == ["delivered charge-inbox  message 8, attempt 1"]


# --- the file of jobs

KEPT, OF_PROCESS, KILLED = "jobs.db", "jobs-17.db", "jobs-4711.db-wal"


@pytest.mark.parametrize(("reset", "left"), [(False, {KEPT}), (True, set[str]())])
def test_reset_removes_the_jobs_and_the_end_those_that_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reset: bool, left: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".ucam-faas"
    folder.mkdir()
    for name in (KEPT, KILLED):
        (folder / name).touch()
    options: Any = SimpleNamespace(reset=reset)

    with job_file(options):
        assert not (folder / KILLED).exists()
        (folder / OF_PROCESS).touch()

    assert {path.name for path in folder.iterdir()} == left
