"""The simulation of jobs: small days, which take a second."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
JOBS = 10_000
OUTAGE = (900.0, 1200.0)


@pytest.fixture(scope="module")
def modules() -> Iterator[Callable[[str], ModuleType]]:
    """Import modules of the simulation, and forget them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module
    for name in [name for name in sys.modules if name.split(".")[0] == "simulation"]:
        del sys.modules[name]


@pytest.fixture
def world(modules: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """Make a world whose day has half an hour."""

    def make(**values: Any) -> Any:
        small = {
            "jobs": JOBS,
            "day": 1800.0,
            "peak": 900.0,
            "burst": 0.2,
            "burst_at": 300.0,
            "max_instances": 2,
            "timeout": 60.0,
            "outage": OUTAGE,
        }
        assumptions = modules("simulation.assumptions").Assumptions(**{**small, **values})
        return modules("simulation.world").World(assumptions)

    return make


def test_each_job_ends_once_or_is_live_at_any_time(world: Callable[..., Any]) -> None:
    day = world(failing=0.1, lost_wakes=0.01, lost_runs=0.001).run()

    assert len(day.samples) > 30
    for sample in day.samples:
        assert sample.stored == sample.ended + sample.backlog + sample.running
    assert day.counts["stored"] == day.ended == JOBS


def test_an_outage_makes_a_backlog_that_drains(world: Callable[..., Any]) -> None:
    simulated = world()

    day = simulated.run()

    down = [sample for sample in day.samples if OUTAGE[0] + 60 < sample.at < OUTAGE[1]]
    assert {sample.ended for sample in down} == {down[0].ended}
    assert down[-1].unsent > down[0].unsent > 0
    assert day.counts["claims refused"] > 0
    assert 0 < day.drained < 1800
    assert (simulated.live, day.ended) == (0, JOBS)


def test_more_instances_drain_a_backlog_sooner(world: Callable[..., Any]) -> None:
    few, many = (world(max_instances=number).run() for number in (2, 8))

    assert many.drained < few.drained


def test_lost_wakes_and_processes_are_the_sweeps(world: Callable[..., Any]) -> None:
    losses = {"lost_wakes": 0.01, "lost_runs": 0.005, "outage": None}
    swept, unswept = world(**losses), world(**losses, sweep_period=0.0)

    swept.run()
    unswept.run(longest=7200.0)

    assert swept.live == 0
    assert unswept.live > 50


def test_a_job_is_tried_as_often_as_its_policy_says(world: Callable[..., Any]) -> None:
    day = world(jobs=200, failing=1.0, lost_wakes=0.0, lost_runs=0.0, outage=None).run()

    assert day.counts["FAILURE"] == 200
    assert day.counts["runs"] == 200 * 8


def test_without_a_queue_retries_wait_for_the_sweep(world: Callable[..., Any]) -> None:
    quiet = {"failing": 0.5, "outage": None, "burst": 0.0, "max_instances": 20}

    exact, swept = (
        world(**quiet, queue_per_second=rate).run().latency(0.7) for rate in (500.0, 0.0)
    )

    assert 10 < exact < swept


def test_a_seed_has_one_day(world: Callable[..., Any]) -> None:
    first, second, other = (world(seed=seed).run() for seed in (1, 1, 2))

    assert first.counts == second.counts != other.counts


def test_the_recorded_days_lost_no_job(modules: Callable[[str], ModuleType]) -> None:
    days = modules("simulation.tables").recorded("days")

    assert len(days) == 3
    for day in days.values():
        ended = day["counts"]["SUCCESS"] + day["counts"].get("FAILURE", 0)
        assert (ended, day["lost"], day["live"]) == (10_000_000, 0, 0)


def test_the_recorded_predictions_are_near_the_real_runs(
    modules: Callable[[str], ModuleType],
) -> None:
    for run in modules("simulation.tables").recorded("validation").values():
        assert run["predicted"] == pytest.approx(run["measured"], rel=0.1)
