"""Workers are killed, stopped and cut off: nothing is lost, and no attempt is beyond the limit."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import wait_until
from tests.trials.killing_worker import POINTS
from tests.trials.running import SECONDS
from tests.trials.workers import Trial, trial
from tests.worker.processes import PubSub
from ucam_faas.jobs.states import State


@pytest.fixture
def here(tmp_path: Path, jobs: str) -> Iterator[Trial]:
    with trial(tmp_path, jobs) as here:
        yield here


def test_a_worker_is_killed_at_every_point(here: Trial) -> None:
    points = [*POINTS, "while it runs"]
    codes = []
    for number, point in enumerate(points):
        here.send([{"id": str(number)}])
        codes.append(here.kill_at(point))
    with here.worker("last"):
        here.wait(len(points))

    assert codes == [-signal.SIGKILL] * len(points)
    assert here.states(len(points)) == {State.SUCCESS: len(points)}
    assert max(row.attempts for row in here.rows(len(points))) < 8
    assert set(here.runs()) == {str(number) for number in range(len(points))}
    assert here.cloud.pull("charge-inbox") == []


def test_a_worker_that_is_killed_loses_no_message_without_a_job(tmp_path: Path) -> None:
    points = ["while it runs", *(point for point in POINTS if "stored" not in point)]
    with trial(tmp_path, None) as here:
        here.send([{"id": str(number)} for number in range(20)])

        codes = [here.kill_at(point) for point in points]
        with here.worker("last"):
            wait_until(lambda: len(here.runs()) == 20, "all have run", SECONDS)

    assert set(codes) == {-signal.SIGKILL}
    assert max(here.runs().values()) <= len(codes) + 1


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_a_worker_is_stopped_for_longer_than_a_lease(
    tmp_path: Path, jobs: str, has_store: bool
) -> None:
    with trial(tmp_path, jobs if has_store else None) as here, here.worker("frozen") as frozen:
        here.send([{"id": "0", "seconds": 1}])
        wait_until(lambda: here.runs(), "it runs")
        frozen.signal(signal.SIGSTOP)
        with here.worker("other") as other:
            wait_until(lambda: here.runs("ended"), "the other has run it", SECONDS)
            wait_until(here.is_quiet, "nothing runs", SECONDS)
            frozen.signal(signal.SIGCONT)
            for process in (frozen, other):
                process.signal(signal.SIGTERM)
                assert process.wait() == 0
        here.check_ends(1, lost=1)

    assert here.runs()["0"] == 2


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_pubsub_is_killed_and_started_again(tmp_path: Path, jobs: str, has_store: bool) -> None:
    with trial(tmp_path, jobs if has_store else None) as here, here.worker("worker"):
        here.send([{"id": str(number), "seconds": 0.2} for number in range(200)])
        wait_until(lambda: len(here.runs()) > 20, "they run")
        here.cloud.kill()
        wait_until(here.is_quiet, "the pulled messages have run")
        port, state = here.cloud.port, str(tmp_path / "state")
        here.cloud = PubSub(tmp_path / "pubsub-again", "--state", state, port=port)
        try:
            wait_until(lambda: len(here.runs("ended")) == 200, "all have run", SECONDS)
            wait_until(here.is_quiet, "nothing runs", SECONDS)
            if has_store:
                here.wait(200)
                assert here.states(200) == {State.SUCCESS: 200}
                assert here.runs().total() == 200
            assert here.cloud.pull(here.task) == here.dead_letters() == []
        finally:
            here.cloud.kill()

    print(f"{here.runs().total() - 200} second runs")
