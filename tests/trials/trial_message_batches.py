"""Workers that gather batches are killed: nothing is lost, and each key keeps its order."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.integration.processes import wait_until
from tests.trials.killing_worker import POINTS
from tests.trials.running import SECONDS
from tests.trials.workers import Trial, trial

COUNT, KEYS = 300, 7


def send(here: Trial) -> None:
    orders = [
        {"id": str(number), "key": f"key-{number % KEYS}", "seconds": 0.01}
        for number in range(COUNT)
    ]
    here.send(orders)


def check(here: Trial) -> None:
    """Check that each key's orders have ended in their order, and that Pub/Sub has no more."""
    ended = list(dict.fromkeys(int(note["id"]) for note in here.notes("ended")))
    for key in range(KEYS):
        assert [number for number in ended if number % KEYS == key] == list(range(key, COUNT, KEYS))
    assert here.cloud.pull("gather_in_order") == []


def test_workers_with_batches_are_killed_at_every_point(tmp_path: Path) -> None:
    points = ["while it runs", *(point for point in POINTS if "stored" not in point)]
    with trial(tmp_path, None, "gather_in_order") as here:
        send(here)

        codes = [here.kill_at(point) for point in points]
        with here.worker("last") as last:
            wait_until(lambda: len(here.runs("ended")) == COUNT, "all have ended", SECONDS)
            last.signal(signal.SIGTERM)
            assert last.wait() == 0
        check(here)

    assert set(codes) == {-signal.SIGKILL}


def test_workers_with_batches_are_killed_at_random_times(tmp_path: Path) -> None:
    with trial(tmp_path, None, "gather_in_order") as here:
        send(here)

        for number in range(4):
            before = len(here.runs("ended"))
            with here.worker(f"killed-{number}"):
                wait_until(lambda n=before: len(here.runs("ended")) > n + 20, "some have ended")
        with here.worker("last") as last:
            wait_until(lambda: len(here.runs("ended")) == COUNT, "all have ended", SECONDS)
            last.signal(signal.SIGTERM)
            assert last.wait() == 0
        check(here)
