"""Applications that share a store: each has jobs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ucam_faas
from tests.jobs.runs import row_of, wake
from tests.serving.harness import make_app, on_a_loop
from ucam_faas import local_state
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import NotConfiguredError
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.inbox import APP_ATTRIBUTE
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.rows import Key, Row, Wake
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.sending.sender import sender
from ucam_faas.testing import ManualClock

OURS, THEIRS = Key("default", "charge", "1"), Key("kiosk", "charge", "1")


@ucam_faas.message_handler
def charge(data: bytes) -> int:
    return 1


@pytest.fixture
def store(clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:", clock)
    rows = [Row(key=key, payload=b"", owner=key.app, visit=60.0) for key in (OURS, THEIRS)]
    store.insert(rows, wait=[0.0, 0.0])
    yield store
    store.close()


@on_a_loop
async def test_a_job_of_another_application_does_not_run_and_the_log_names_both(
    store: SqliteStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(charge, clock=clock, store=store)

    answer = await wake(app, "charge", **{APP_ATTRIBUTE: "kiosk"})

    assert answer.status == 200
    assert (row_of(store, THEIRS).state, row_of(store, OURS).state) == (State.PENDING,) * 2
    (line,) = [each for each in caplog.records if each.msg == "ucam_faas_job_of_another_app"]
    assert line.levelname == "ERROR"
    assert line.fields == {"task": "charge", "job_id": "1", "app": "kiosk", "served": "default"}


def test_a_wake_names_the_application(clock: ManualClock) -> None:
    publisher = MemoryPublisher({"charge-inbox": []})

    inbox.wake(Runtime(Settings(), clock, publisher), [Wake(THEIRS)])

    (message,) = publisher.topics["charge-inbox"]
    assert message.attributes == {"ucam_faas_job": "1", "ucam_faas_app": "kiosk"}


def test_a_sweep_leaves_the_jobs_of_other_applications_alone(
    store: SqliteStore, clock: ManualClock
) -> None:
    woken: list[Wake] = []
    clock.advance(60)

    sweep(store, "kiosk", woken.extend)

    assert woken == [Wake(THEIRS)]


@pytest.mark.parametrize(("own", "app"), [("default", "shop"), ("kiosk", "kiosk")])
def test_a_script_beside_dev_sends_to_the_application_of_dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, app: str
) -> None:
    here = Runtime(Settings(app=own), SystemClock(), connect=runtime.publisher_of)
    monkeypatch.setattr(runtime, "of_environment", lambda: here)
    monkeypatch.chdir(tmp_path)
    cloud = local_state.LocalCloud(pubsub="", project="p", jobs="memory", app="shop")
    with local_state.held(tmp_path):
        local_state.write(tmp_path, cloud)

        assert sender().settings.app == app


STORE = "sqlite:jobs.db"


@pytest.mark.parametrize(
    ("of_dev", "project", "pubsub"),
    [(STORE, None, "127.0.0.1:1"), ("memory", None, None), (STORE, "mine", None)],
)
def test_a_script_with_the_store_of_dev_sends_through_dev_unless_it_has_a_project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_dev: str,
    project: str | None,
    pubsub: str | None,
) -> None:
    settings = Settings(job_store=STORE, project=project)
    here = Runtime(settings, SystemClock(), connect=runtime.publisher_of)
    monkeypatch.setattr(runtime, "of_environment", lambda: here)
    monkeypatch.chdir(tmp_path)
    cloud = local_state.LocalCloud(pubsub="127.0.0.1:1", project="local", jobs=of_dev)
    with local_state.held(tmp_path):
        local_state.write(tmp_path, cloud)

        assert sender().settings.pubsub_emulator == pubsub


def test_a_store_without_a_pubsub_is_an_error_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Runtime(Settings(job_store=STORE), SystemClock(), connect=runtime.publisher_of)
    monkeypatch.setattr(runtime, "of_environment", lambda: here)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotConfiguredError, match="Set GOOGLE_CLOUD_PROJECT; or, beside"):
        ucam_faas.send("charge")
