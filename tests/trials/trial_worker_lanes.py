"""A trial of a lane that is paused while workers run its jobs."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.integration.processes import wait_until
from tests.trials.running import SECONDS
from tests.trials.workers import trial
from ucam_faas.job_runs.pauses import FRESH_SECONDS
from ucam_faas.jobs.states import State

JOBS, BEFORE_PAUSE, QUIET_SECONDS = 400, 20, 3.0


def orders(prefix: str, count: int) -> list[dict[str, Any]]:
    return [{"id": f"{prefix}-{number}", "seconds": 0.2} for number in range(count)]


def test_a_paused_lane_lets_work_in_flight_end_and_starts_none(tmp_path: Path, jobs: str) -> None:
    """Not in a worker that starts later, either; the other lane goes on."""
    with trial(tmp_path, jobs, "laned") as here, here.worker("first"):
        here.send(orders("bulk", JOBS), "bulk")
        wait_until(lambda: len(here.runs("ended")) >= BEFORE_PAUSE, "some have run", SECONDS)

        here.run("lanes", "pause", "laned", "bulk")
        time.sleep(FRESH_SECONDS + 1)
        begun, ended = here.runs(), here.runs("ended")
        with here.worker("second"):
            here.send(orders("meanwhile", 20))
            wait_until(lambda: len(here.runs("ended")) == len(begun) + 20, "they run", SECONDS)
            time.sleep(QUIET_SECONDS)
            during = here.runs()
            here.run("lanes", "resume", "laned", "bulk")
            here.wait(JOBS + 20)
        rows = here.rows(JOBS + 20)

    print(f"{len(begun)} had begun at the pause")
    assert begun == ended
    assert BEFORE_PAUSE <= len(begun) < JOBS
    assert len(during) == len(begun) + 20
    assert Counter(row.state for row in rows) == {State.SUCCESS: JOBS + 20}
    assert Counter((row.attempts, row.executions) for row in rows) == {(0, 1): JOBS + 20}
