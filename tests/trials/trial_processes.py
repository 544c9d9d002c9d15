"""A trial of tasks in processes that are killed at random under load."""

from __future__ import annotations

from tests.dev.cloud import Dev
from tests.trials.killing import killing
from tests.trials.running import ended, lines, script
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore

JOBS, NEIGHBOURS = 150, 50


def test_each_kill_costs_at_most_one_attempt_of_one_job(dev: Dev, store: JobStore) -> None:
    code = f"main.compute.send_many(range({JOBS}), id=lambda number: f'c{{number}}')\n"
    code += f"main.neighbour.send_many(range({NEIGHBOURS}), id=lambda number: f'k{{number}}')"

    assert script(dev, code) == 0
    with killing(lambda: map(int, lines(dev, "computing"))) as killed:
        rows = [ended(store, "compute", f"c{number}") for number in range(JOBS)]

    assert {row.state for row in rows} == {State.SUCCESS}
    assert [row.result for row in rows] == [str(number).encode() for number in range(JOBS)]
    failures = [entry for row in rows for entry in row.history if entry.cause == "failed"]
    assert len(killed) >= 5
    assert 0 < len(failures) == sum(row.attempts for row in rows) <= len(killed)
    assert {entry.message for entry in failures} <= {"Crashed"}
    assert sum(row.interruptions for row in rows) == 0
    neighbours = [ended(store, "neighbour", f"k{number}") for number in range(NEIGHBOURS)]
    assert {(row.state, row.attempts, row.interruptions) for row in neighbours} == {
        (State.SUCCESS, 0, 0)
    }
