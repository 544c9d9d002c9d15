"""The lines of `ucam-faas dev` about jobs, and the file of its jobs."""

from __future__ import annotations

import sqlite3
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
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SCHEMA, SqliteStore
from ucam_faas.jobs.sweep import sweep
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
        stream = self._stream = Stream(self._lines.append, colours=False)
        self.observer = SessionObserver(stream, History())
        self.news = JobNews(stream, self.store, "app")
        self.news.tell()
        self.observer.follow_jobs(self.news)
        self.store.insert([Row(key=KEY, payload=b"{}", owner="me", visit=60.0)], wait=[0.0])

    def look_again(self) -> None:
        """Start another session."""
        self._lines.clear()
        self.news = JobNews(self._stream, self.store, "app")
        self.clock.advance(1)
        self.news.tell()
        self.observer.follow_jobs(self.news)

    def forget(self) -> None:
        """Start another session, which finds too many jobs to know this one."""
        self.look_again()
        self.news._known.clear()

    @property
    def lines(self) -> list[str]:
        """The lines, without their times."""
        self.news.tell()
        return [line[14:] for line in self._lines]

    def send(
        self,
        id: str,
        *,
        wait: float = 0.0,
        ttl: float | None = None,
        limit_key: str | None = None,
    ) -> Key:
        """Send another job."""
        key = KEY._replace(id=id)
        row = Row(key=key, payload=b"{}", owner=id, visit=60.0, expires=ttl, limit_key=limit_key)
        self.store.insert([row], wait=[wait])
        return key

    def end(self, state: State, **values: Any) -> None:
        """Run the job, and let its wake be acknowledged."""
        row = self.store.claim(KEY, lease=60, instance="here")
        assert row is not None
        cause = "failed" if values.get("failed") else "ended"
        change = Change(state=state, cause=cause, visit=60.0, **values)
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

    assert scene.lines == ["starting  charge  job 17, attempt 1"]


def test_a_job_that_does_not_start_because_of_a_pause_says_how_to_end_it(scene: Scene) -> None:
    scene.store.pause_lane("app", "charge", "default")
    scene.observer.delivered(INBOX, WAKE, 1)
    scene.observer.acknowledged(INBOX, WAKE, 1, status=200)

    assert scene.lines == [
        "paused    charge  job 17, until: ucam-faas lanes resume charge default",
    ]


def test_a_job_that_waits_for_its_limit_starts_when_it_is_claimed(scene: Scene) -> None:
    scene.send("16", limit_key="a")
    scene.store.claim(KEY._replace(id="16"), lease=60, instance="here", limit=1)
    key, wake = scene.send("18", limit_key="a"), WAKE._replace(attributes={"ucam_faas_job": "18"})

    scene.observer.delivered(INBOX, wake, 1)
    waiting = scene.lines
    scene.observer.acknowledged(INBOX, wake, 1, status=200)
    end = Change(state=State.SUCCESS, cause="ended", visit=60.0)
    scene.store.change(KEY._replace(id="16"), end, fence=1)
    scene.observer.delivered(INBOX, wake, 1)
    scene.news.tell()
    scene.store.claim(key, lease=60, instance="here", limit=1)

    assert waiting == []
    assert scene.lines == ["started   charge  job 18, attempt 1"]


def test_a_job_that_ended_before_this_session_has_not_started(scene: Scene) -> None:
    scene.end(State.SUCCESS, result=b"1")
    scene.forget()

    scene.observer.delivered(INBOX, WAKE, 1)
    scene.observer.acknowledged(INBOX, WAKE, 1, status=200)

    assert scene.lines == []


def test_a_wake_too_many_is_no_news(scene: Scene) -> None:
    scene.store.claim(KEY, lease=60, instance="here")
    scene.look_again()

    scene.observer.delivered(INBOX, WAKE, 1)
    scene.observer.acknowledged(INBOX, WAKE, 1, status=200)

    assert scene.lines == []


def test_a_retry_tells_its_time(scene: Scene) -> None:
    scene.end(State.PENDING, wait=10.0, failed=True)

    assert scene.lines == ["retry     charge  job 17, attempt 1 failed, again in 10 s"]


def test_retries_are_told_though_the_job_has_ended_by_the_first_look(scene: Scene) -> None:
    scene.end(State.PENDING, wait=0.0, failed=True)
    scene.end(State.PENDING, wait=0.0, failed=True)
    scene.end(State.SUCCESS)

    assert scene.lines == [
        "retry     charge  job 17, attempt 1 failed",
        "retry     charge  job 17, attempt 2 failed",
    ]


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


def test_a_job_that_is_refused_was_only_starting(scene: Scene) -> None:
    scene.observer.delivered(INBOX, WAKE, 1)
    scene.news.tell()
    scene.observer.failed(INBOX, WAKE, 1, status=503, retry_seconds=1.0)

    assert scene.lines == [
        "starting  charge  job 17, attempt 1",
        "retry     charge  job 17 could not start (503), again in 1 s",
    ]


def test_a_refused_wake_is_told(scene: Scene) -> None:
    scene.observer.failed(INBOX, WAKE, 1, status=503, retry_seconds=1.0)

    assert scene.lines == ["retry     charge  job 17 could not start (503), again in 1 s"]


def test_the_end_of_a_job_that_is_gone_is_no_news(scene: Scene) -> None:
    scene.store.delete(KEY, states=frozenset(State))

    scene.observer.acknowledged(INBOX, WAKE, 1, status=200)

    assert scene.lines == []


def test_a_message_in_an_inbox_is_shown_as_any_other(scene: Scene) -> None:
    scene.observer.delivered(INBOX, Message(8, 0.0, "", {}, b"x"), 1)

    assert scene.lines == ["delivered charge-inbox  message 8, attempt 1"]


def test_two_wakes_at_a_time_tell_one_start(scene: Scene) -> None:
    scene.observer.delivered(INBOX, WAKE, 1)
    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == ["starting  charge  job 17, attempt 1"]


def test_a_job_of_an_earlier_session_goes_on_counting(scene: Scene) -> None:
    scene.end(State.PENDING, wait=0.0, failed=True)
    scene.look_again()

    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == ["starting  charge  job 17, attempt 2"]


def test_a_job_that_ended_and_is_sent_on_its_way_again_is_told(scene: Scene) -> None:
    scene.end(State.FAILURE, failed=True)
    before = scene.lines
    again = Change(state=State.PENDING, cause="retried", visit=60.0, wait=0.0, afresh=True)
    scene.store.change(KEY, again, states={State.FAILURE})
    scene.store.claim(KEY, lease=60, instance="here")

    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == [*before, "started   charge  job 17, attempt 1"]


def test_a_retried_job_that_fails_before_the_look_has_its_start_told(scene: Scene) -> None:
    scene.end(State.FAILURE, failed=True)
    before = scene.lines
    again = Change(state=State.PENDING, cause="retried", visit=60.0, wait=0.0, afresh=True)
    scene.store.change(KEY, again, states={State.FAILURE})

    scene.observer.delivered(INBOX, WAKE, 1)
    scene.news.tell()
    scene.end(State.FAILURE, failed=True)

    assert scene.lines == [
        *before,
        "starting  charge  job 17, attempt 1",
        "dead      charge  job 17, FAILURE after 1 attempt",
    ]


def test_the_start_of_a_resumed_job_is_told_with_the_attempt_that_it_had(scene: Scene) -> None:
    scene.end(State.PAUSED)
    before = scene.lines
    resume = Change(state=State.PENDING, cause="resumed", visit=60.0, wait=0.0)
    scene.store.change(KEY, resume, states={State.PAUSED})

    scene.observer.delivered(INBOX, WAKE, 1)

    assert scene.lines == [*before, "starting  charge  job 17, attempt 1"]


def test_each_attempt_is_told(scene: Scene) -> None:
    for _ in range(2):
        scene.observer.delivered(INBOX, WAKE, 1)
        scene.news.tell()
        scene.end(State.PENDING, wait=10.0, failed=True)
        scene.news.tell()
        scene.clock.advance(10)

    assert scene.lines == [
        "starting  charge  job 17, attempt 1",
        "retry     charge  job 17, attempt 1 failed, again in 10 s",
        "starting  charge  job 17, attempt 2",
        "retry     charge  job 17, attempt 2 failed, again in 10 s",
    ]


def test_an_expired_job_is_told_though_no_wake_comes(scene: Scene) -> None:
    key = scene.send("18", ttl=60.0)
    scene.clock.advance(61)

    sweep(scene.store, KEY.app, lambda keys: None, scene.news.changed)

    assert key.id == "18"
    assert scene.lines == ["dead      charge  job 18, EXPIRED: it hadn't started within its ttl"]


def test_a_delay_is_told_once_with_its_end(scene: Scene) -> None:
    scene.send("18", wait=300.0)
    scene.news.tell()
    scene.clock.advance(1)
    scene.send("19", wait=86400.0)

    assert scene.lines == [
        "delayed   charge  job 18, starts in 5 min",
        "delayed   charge  job 19, starts in 1 d",
    ]


def test_many_delays_are_not_told_one_by_one(scene: Scene) -> None:
    for number in range(30):
        scene.send(f"many-{number}", wait=300.0)

    *some, last = scene.lines
    assert len(some) == 20
    assert last == "delayed   more jobs wait: ucam-faas jobs list"
    assert scene.lines == [*some, last]


def test_jobs_that_ended_in_an_earlier_session_are_no_news(scene: Scene) -> None:
    scene.end(State.SUCCESS, result=b"1")
    scene.send("18", wait=300.0)
    scene.look_again()

    scene.observer.delivered(INBOX, WAKE, 1)
    scene.clock.advance(1)

    assert scene.lines == []


def test_a_store_that_blocks_does_not_block_the_events(scene: Scene) -> None:
    with scene.news.told(), scene.store._lock:
        scene.observer.delivered(INBOX, WAKE, 1)
        scene.observer.acknowledged(INBOX, WAKE, 1, status=200)
        scene.observer.failed(INBOX, WAKE, 1, status=503, retry_seconds=1.0)

    assert scene.lines[0] == "retry     charge  job 17 could not start (503), again in 1 s"


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
    options: Any = SimpleNamespace(reset=reset, job_store="memory")

    with job_file(options):
        assert not (folder / KILLED).exists()
        (folder / OF_PROCESS).touch()

    assert {path.name for path in folder.iterdir()} == left


def test_a_file_of_a_later_version_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "jobs.db"
    sqlite3.connect(file).execute(f"PRAGMA user_version = {SCHEMA + 1}").connection.close()
    options: Any = SimpleNamespace(reset=False, job_store=f"sqlite:{file}")

    with pytest.raises(JobStoreError, match=r"newer ucam-faas .*--reset"), job_file(options):
        pass
