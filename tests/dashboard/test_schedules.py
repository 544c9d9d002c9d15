"""The page of schedules, against the embedded Cloud Scheduler."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.dashboard.asgi import Answer, call
from ucam_faas.actions.schedules import Schedule, Schedules
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard import app
from ucam_faas.dashboard.views.schedules import next_runs
from ucam_faas.net.rest import Rest
from ucam_faas.testing import ManualClock
from ucam_faas.testing.pubsub import EmbeddedPubsub


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 27, 12, tzinfo=UTC))


@pytest.fixture
def api(ucam_faas_pubsub: EmbeddedPubsub, clock: ManualClock) -> Rest:
    ucam_faas_pubsub.reset(clock)
    ucam_faas_pubsub.create_topic("nightly")
    return Rest(ucam_faas_pubsub.host)


@pytest.fixture
def schedules(api: Rest) -> Schedules:
    parent = "projects/test-project/locations/local"
    job = {
        "name": f"{parent}/jobs/nightly",
        "schedule": "30 2 * * *",
        "timeZone": "Europe/Zurich",
        "pubsubTarget": {"topicName": "projects/test-project/topics/nightly", "data": "e30="},
    }
    status, body = api.post(f"/v1/{parent}/jobs", json.dumps(job).encode(), 10)
    assert status == 200, body
    return Schedules(api, "test-project", "local")


def ask(schedules: Schedules, method: str, url: str, *, read_only: bool = False) -> Answer:
    backends = Backends(schedules=schedules, read_only=read_only)
    return call(app.make_app(lambda: backends), method, url, form={} if method == "POST" else None)


def test_the_next_runs_are_in_both_zones_across_a_change_of_the_clocks(
    schedules: Schedules,
) -> None:
    """On 29 March the clocks of Zürich skip 2:30: there is no run on that day."""
    text = ask(schedules, "GET", "/schedules").text

    assert 'datetime="2026-03-28T01:30:00.000Z"' in text
    assert "Sat 28 Mar 02:30 CET" in text
    assert "2026-03-29" not in text
    assert 'datetime="2026-03-30T00:30:00.000Z"' in text
    assert "Mon 30 Mar 02:30 CEST: the clocks go forward by 1 h before this run" in text


def test_a_schedule_is_run_paused_and_resumed(
    schedules: Schedules, ucam_faas_pubsub: EmbeddedPubsub, clock: ManualClock
) -> None:
    ucam_faas_pubsub.create_subscription("nightly", "reader")

    ran = ask(schedules, "POST", "/schedules/nightly/run")
    ask(schedules, "POST", "/schedules/nightly/pause")
    paused = ask(schedules, "GET", "/schedules").text
    clock.advance(3 * 86400)
    ask(schedules, "POST", "/schedules/nightly/resume")

    assert (ran.status, ran.headers["location"]) == (303, "/schedules")
    assert len(ucam_faas_pubsub.pull("reader")) == 1
    assert "Resume" in paused
    assert "The next" not in paused
    assert "Tue 31 Mar 02:30 CEST" in ask(schedules, "GET", "/schedules").text


def test_an_unknown_schedule_is_refused_with_the_names_that_there_are(
    schedules: Schedules,
) -> None:
    answer = ask(schedules, "POST", "/schedules/nigthly/run")

    assert answer.status == 409
    assert "Did you mean &#39;nightly&#39;?" in answer.text
    assert ask(schedules, "POST", "/schedules/nightly/delete").status == 409


def test_a_read_only_page_has_no_buttons(schedules: Schedules) -> None:
    assert "Run now" not in ask(schedules, "GET", "/schedules", read_only=True).text
    assert ask(schedules, "POST", "/schedules/nightly/run", read_only=True).status == 403


def test_a_time_that_occurs_twice_has_two_runs() -> None:
    first = datetime(2026, 10, 24, 0, 30, tzinfo=UTC).timestamp()

    runs = next_runs(schedule("30 2 * * *", "Europe/Zurich", first), 3)

    assert [run.there for run in runs] == [
        "Sat 24 Oct 02:30 CEST",
        "Sun 25 Oct 02:30 CEST",
        "Sun 25 Oct 02:30 CET",
    ]
    assert [run.change for run in runs] == ["", "", "the clocks go back by 1 h before this run"]


def test_a_schedule_in_an_unknown_form_has_its_next_run_alone() -> None:
    assert len(next_runs(schedule("every monday 09:00", "Mars/Olympus", 0.0))) == 1
    assert len(next_runs(schedule("every 5 minutes", "UTC", 0.0))) == 1


def schedule(expression: str, zone: str, next_run: float) -> Schedule:
    return Schedule(
        name="x", expression=expression, time_zone=zone, target="", paused=False,
        next_run=next_run, last_run=None,
    )  # fmt: skip
