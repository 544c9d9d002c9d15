"""Simulate days with ten million jobs on Google Cloud: backlog, instances, retries, an outage.

    python benchmarks/simulate.py                    # the days of docs/scale.md, minutes
    python benchmarks/simulate.py --record           # and write simulation/recorded/days.json
    python benchmarks/simulate.py --jobs 1e6 --max-instances 8 --failing 0.1 --no-outage

Deterministic: the same seed gives the same day. `simulation/assumptions.py` lists the load and the
behaviour of Google's services, with their sources.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from simulation.assumptions import HOUR, Assumptions
from simulation.tables import chart, days as table, record
from simulation.world import World

DAYS: Mapping[str, Assumptions] = {
    "20 instances, an outage": Assumptions(),
    "60 instances, an outage": Assumptions(max_instances=60),
    "60 instances, no outage": Assumptions(max_instances=60, outage=None),
}


def simulate(assumptions: Assumptions) -> dict[str, Any]:
    """Return the figures of a day, for the tables and for `recorded/days.json`."""
    world = World(assumptions)
    day = world.run()
    outage = range(13, 15)
    return {
        "counts": dict(sorted(day.counts.items())),
        "lost": day.counts["stored"] - day.ended - world.pending - world.running,
        "live": world.live,
        "most_backlog": max(sample.backlog for sample in day.samples),
        "most_unsent": max(sample.unsent for sample in day.samples),
        "most_instances": max(sample.instances for sample in day.samples),
        "instance_hours": round(day.instance_seconds / HOUR, 1),
        "drained_after": day.drained,
        "sweep": {
            "woken": world.sweep.woken,
            "removed": world.sweep.removed,
            "longest_pass": world.sweep.longest,
            "cut_short": world.sweep.cut_short,
        },
        "latency": {
            "all": [round(day.latency(share), 2) for share in (0.5, 0.95, 0.99, 1)],
            "before": [round(day.latency(share, range(9)), 2) for share in (0.5, 0.95, 0.99, 1)],
            "outage": [round(day.latency(share, outage), 2) for share in (0.5, 0.95, 0.99, 1)],
        },
        "hours": _hours(world),
    }


def _hours(world: World) -> list[dict[str, float]]:
    """Return the counts of each hour; of the backlog and the instances, the highest sample."""
    hours = []
    samples = world.day.samples
    for hour in range(int(samples[-1].at // HOUR) + 1):
        some = [sample for sample in samples if hour * HOUR < sample.at <= (hour + 1) * HOUR]
        if not some:
            continue
        before = [sample for sample in samples if sample.at <= hour * HOUR]
        start = before[-1] if before else None
        hours.append(
            {
                "hour": hour,
                "stored": some[-1].stored - (start.stored if start else 0),
                "ended": some[-1].ended - (start.ended if start else 0),
                "runs": some[-1].runs - (start.runs if start else 0),
                "woken": some[-1].woken - (start.woken if start else 0),
                "unsent": max(sample.unsent for sample in some),
                "backlog": max(sample.backlog for sample in some),
                "instances": max(sample.instances for sample in some),
            }
        )
    return hours


def main() -> None:
    """Simulate days, and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-outage", action="store_true")
    for name, kind in (
        ("jobs", float), ("max_instances", int), ("concurrency", int), ("failing", float),
        ("swing", float), ("burst", float), ("push_window", int), ("seed", int),
    ):  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind)
    options = vars(parser.parse_args())
    recording, no_outage = options.pop("record"), options.pop("no_outage")
    values = {name: value for name, value in options.items() if value is not None}
    if "jobs" in values:
        values["jobs"] = int(values["jobs"])
    days = DAYS
    if values or no_outage:
        yours = replace(Assumptions(), **values)
        days = {"yours": replace(yours, outage=None) if no_outage else yours}
    began = time.perf_counter()
    with ProcessPoolExecutor(3) as pool:
        figures = dict(zip(days, pool.map(simulate, days.values()), strict=True))
    print(table(figures), *map(chart, figures.values()), sep="\n")
    print(f"{time.perf_counter() - began:.0f} s")
    if recording:
        record("days", figures)


if __name__ == "__main__":
    main()
