"""Trials of lanes: a backlog holds back no other lane, and a pause holds over a new process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

from tests.dev.cloud import Dev, environ_of
from tests.integration.processes import wait_until
from tests.trials.running import SECONDS, ended, lines, script
from ucam_faas.job_runs.pauses import FRESH_SECONDS
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore

BACKLOG, SINGLES = 1000, 20
PAUSED_JOBS, BEFORE_PAUSE = 1500, 20
QUIET_SECONDS = 3.0


def send(dev: Dev, number: int, lane: str, prefix: str) -> None:
    """Send jobs that are named PREFIX-0, PREFIX-1, …"""
    payloads = f"[{{'lane': {lane!r}}} for _ in range({number})]"
    code = (
        f"ids = iter([f'{prefix}-{{n}}' for n in range({number})])\n"
        f"main.laned.send_many({payloads}, lane={lane!r}, id=lambda payload: next(ids))"
    )
    assert script(dev, code) == 0


def lanes(dev: Dev, *arguments: str) -> None:
    command = [sys.executable, "-m", "ucam_faas", "lanes", *arguments]
    subprocess.run(command, cwd=dev.folder, env=environ_of(dev.folder), check=True, timeout=60)


def rows(store: JobStore, prefix: str) -> list[Row]:
    all_rows = store.find("default", task="laned", limit=10_000)
    return [row for row in all_rows if row.key.id.startswith(f"{prefix}-")]


def test_a_backlog_in_one_lane_does_not_starve_the_other(dev: Dev, store: JobStore) -> None:
    before = len(lines(dev, "ended-bulk"))

    def done() -> int:
        return len(lines(dev, "ended-bulk")) - before

    send(dev, BACKLOG, "bulk", "backlog")
    wait_until(done, "the backlog has begun", SECONDS)

    send(dev, SINGLES, "default", "single")
    for number in range(SINGLES):
        ended(store, "laned", f"single-{number}")
    left = BACKLOG - done()
    wait_until(lambda: done() >= BACKLOG, "the backlog is done", SECONDS)

    assert left > BACKLOG // 2, "the single jobs did not wait for the backlog"
    wait_until(
        lambda: {row.state for row in rows(store, "backlog")} == {State.SUCCESS}, "all", SECONDS
    )
    assert Counter(row.attempts for row in rows(store, "backlog")) == {0: BACKLOG}


def test_a_paused_lane_lets_work_in_flight_end_and_starts_none_until_it_is_resumed(
    dev: Dev, store: JobStore
) -> None:
    before = len(lines(dev, "began-bulk"))
    send(dev, PAUSED_JOBS, "bulk", "paused")
    wait_until(
        lambda: len(lines(dev, "ended-bulk")) >= before + BEFORE_PAUSE, "some have run", SECONDS
    )

    lanes(dev, "pause", "laned", "bulk")
    time.sleep(FRESH_SECONDS + 1)
    begun = len(lines(dev, "began-bulk"))
    (dev.folder / "main.py").write_text((dev.folder / "main.py").read_text() + "\n")  # it reloads
    time.sleep(QUIET_SECONDS)
    send(dev, 1, "default", "meanwhile")
    ended(store, "laned", "meanwhile-0")

    assert before + BEFORE_PAUSE <= begun < before + PAUSED_JOBS
    assert len(lines(dev, "began-bulk")) == len(lines(dev, "ended-bulk")) == begun
    assert {row.state for row in rows(store, "paused")} == {State.SUCCESS, State.PENDING}
    lanes(dev, "resume", "laned", "bulk")
    wait_until(
        lambda: {row.state for row in rows(store, "paused")} == {State.SUCCESS}, "all", SECONDS
    )
    assert Counter(row.executions for row in rows(store, "paused")) == {1: PAUSED_JOBS}
