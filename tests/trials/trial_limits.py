"""A trial of limits: gunicorn's workers are killed while they run jobs of a limited task."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.integration.processes import wait_until
from tests.trials.deployment import deployed
from tests.trials.running import SECONDS, causes, lines, script
from ucam_faas.jobs.states import State

JOBS, KEYS, RUNS_PER_KILL = 100, 10, 6


def test_jobs_of_a_key_never_overlap_and_start_in_order_while_holders_are_killed(
    tmp_path: Path,
) -> None:
    works = f"[{{'key': n % {KEYS}, 'number': n}} for n in range({JOBS})]"
    kills = 0
    with deployed(tmp_path, "limited") as cloud:
        assert script(cloud, f"main.limited.send_many({works})", **cloud.environ) == 0

        def have_ended() -> bool:
            nonlocal kills
            holders = lines(cloud, "holders")
            if len(holders) >= (kills + 1) * RUNS_PER_KILL:
                kills += 1
                with suppress(ProcessLookupError):
                    os.kill(int(holders[-1]), signal.SIGKILL)
            return cloud.store.pending("default", "limited", limit=1) == 0 and not cloud.store.find(
                "default", states={State.STARTED}, limit=1
            )

        with cloud.service(WORKERS="3"):
            wait_until(have_ended, "all jobs have ended", SECONDS)
        rows = cloud.store.find("default", limit=2 * JOBS)
        letters = cloud.dead_letters()

    assert lines(cloud, "overlaps") == []
    for key in range(KEYS):
        starts = dict.fromkeys(map(int, lines(cloud, f"starts-{key}")))
        assert list(starts) == list(range(key, JOBS, KEYS))
    assert [row.state for row in rows] == [State.SUCCESS] * JOBS
    lost = sum(row.attempts for row in rows)
    assert lost == sum(causes(row).count("claimed after a lost process") for row in rows) > 0
    assert letters == []
