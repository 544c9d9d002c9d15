"""Trials of jobs under deploys and under a backlog: neither spends an attempt."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from tests.integration.processes import wait_until
from tests.trials.deployment import deployed
from tests.trials.running import SECONDS, ended, lines, script
from ucam_faas.jobs.states import State

DEPLOYS = 20
BACKLOG = 10_000


def test_twenty_deploys_during_one_job_spend_no_attempt(tmp_path: Path) -> None:
    with deployed(tmp_path, "patient") as cloud:
        assert script(cloud, "main.patient.send(7, id='deployed')", **cloud.environ) == 0
        for deploy in range(1, DEPLOYS + 1):
            with cloud.service(UCAM_FAAS_GRACE_SECONDS="0.2") as service:
                wait_until(lambda n=deploy: len(lines(cloud, "runs")) == n, "it runs", SECONDS)
                service.signal(signal.SIGTERM)
                assert service.wait() == 0
        (tmp_path / "go").touch()
        with cloud.service():
            row = ended(cloud.store, "patient", "deployed")

        assert (row.state, row.result) == (State.SUCCESS, b"7")
        assert (row.attempts, row.interruptions) == (0, DEPLOYS)
        assert len(lines(cloud, "runs")) == DEPLOYS + 1
        assert cloud.dead_letters() == []


def test_a_backlog_of_ten_thousand_at_concurrency_one_spends_no_attempt(tmp_path: Path) -> None:
    send = f"main.one_at_a_time.send_many(range({BACKLOG}), id=lambda number: f'n{{number}}')"
    with deployed(tmp_path, "one_at_a_time", ack_deadline_seconds=10) as cloud:
        assert script(cloud, send, **cloud.environ) == 0
        with cloud.service(WORKERS="1"):
            wait_until(
                lambda: len(lines(cloud, "turns")) >= BACKLOG, "the backlog is done", SECONDS
            )
            ended(cloud.store, "one_at_a_time", lines(cloud, "turns")[-1])
            rows = cloud.store.find("default", limit=2 * BACKLOG)

        assert Counter(row.state for row in rows) == {State.SUCCESS: BACKLOG}
        assert Counter(row.attempts for row in rows) == {0: BACKLOG}
        assert Counter(lines(cloud, "turns")) == Counter(f"n{n}" for n in range(BACKLOG))
        assert cloud.dead_letters() == []
