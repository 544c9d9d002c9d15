"""One short round of every benchmark, against the ratios that were recorded.

    python benchmarks/guard.py                   # under 100 s; needs wrk, java, Google's emulator
    python benchmarks/guard.py --only serving
    python benchmarks/guard.py --record          # write the measured ratios to ratios.toml

Both sides of each ratio are measured in this run, so that a slow machine is slow for both. A ratio
says how many times better ours is. A ratio below 60 % of its record is measured twice more, and
fails if it stays there; so does a recorded ratio that was not measured. A missing tool skips its
rows with a reason, but fails where CI=true.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import emulator
import history
import jobs
import serving_sides
import steps
import telemetry
import worker
from pubsub_sides import running

RATIOS = Path(__file__).with_name("ratios.toml")
FLOOR = 0.6
RETRIES = 2
Ratios = dict[str, float]
"""How many times better ours is, by row."""


def serving() -> Ratios:
    """Requests/s, the time of one request, and the time to start."""
    serving_sides.require()
    speed: Ratios = {}
    p50: Ratios = {}
    start: Ratios = {}
    for side in serving_sides.COMMANDS:
        with serving_sides.served(side) as (port, seconds, _):
            serving_sides.throughput(port, 1)
            speed[side] = serving_sides.throughput(port, 2)
            p50[side] = serving_sides.keep_alive_p50_ms(port, 200)
        starts = [seconds]
        for _ in range(3):
            with serving_sides.served(side) as (_, seconds, _):
                starts.append(seconds)
        start[side] = min(starts)
    ratios = {}
    for other in serving_sides.COMMANDS:
        if other != "ours":
            ratios[f"serving, requests/s, against {other}"] = speed["ours"] / speed[other]
            ratios[f"serving, kept alive p50, against {other}"] = p50[other] / p50["ours"]
            ratios[f"serving, start to first 2xx, against {other}"] = start[other] / start["ours"]
    return ratios


SHORT = emulator.Size(
    rounds=1,
    starts=0,
    publish=5_000,
    pull=10_000,
    stream=2_000,
    push=1_000,
    latency=20,
    publish_one=100,
    through=10_000,
    backlog=0,
)


def pubsub() -> Ratios:
    """The local Pub/Sub against Google's emulator."""
    figures: dict[str, emulator.Figures] = {}
    for side in ("ours", "google"):
        figures[side] = defaultdict(list)
        with running(side) as process:
            emulator.note_start(process, figures[side])
            emulator.measure_speed(process, SHORT, set(emulator.GROUPS), figures[side])
            emulator.note_memory(process, "after messages", figures[side])
    ratios = {}
    for name, bar in emulator.BARS.items():
        if name in figures["ours"] and "p95" not in name:  # too few for a tail
            ours, google = figures["ours"][name][0], figures["google"][name][0]
            ratio = ours / google if bar.unit == "messages/s" else google / ours
            ratios[f"local Pub/Sub, {name}"] = ratio
    return ratios


def sent_and_run() -> Ratios:
    """Jobs in SQLite against huey, which is small enough to be installed at the first run."""
    ours, huey = (
        jobs.measure(side, 1_000, latency=False) for side in ("ours-sqlite", "huey-sqlite")
    )
    return {f"jobs, {name}, against huey": ours[key] / huey[key] for name, key in JOBS.items()}


def stepped() -> Ratios:
    """The steps of a job in SQLite against a bare loop of inserts."""
    ours, bare = (
        max(steps.measure(side, 1_000, None) for _ in range(3)) for side in ("ours", "bare")
    )
    return {"steps/s, against bare inserts": ours / bare}


def pulled() -> Ratios:
    """The CPU time of a pulled message against a callback of google-cloud-pubsub's subscriber.

    Messages a second depend on the cores that are free: the subscriber has more threads.
    """
    ours, bare = (
        min(worker.measure(side, 5_000)["cpu_us"] for _ in range(2)) for side in ("ours", "bare")
    )
    return {"worker, CPU time of a message, against a bare subscriber": bare / ours}


def in_processes() -> Ratios:
    """The fastest call in a process and in a thread; a load on the CPUs lengthens the others."""
    import processes  # it defines a task, which the tests of this module don't need

    figures = asyncio.run(processes.measure(1))
    thread, process = (figures[f"fastest call in a {side}, µs"] for side in ("thread", "process"))
    return {"processes, a call, against a thread": thread / process}


def kept() -> Ratios:
    """The history of `ucam-faas dev`: the cost of a push with and without it, and its queries."""
    costs = history.ratios(history.push_sides(2, 4, 500), 1)
    times = history.time_queries(50_000, 10, time.thread_time)  # others use the cores, too
    slowest = max(map(statistics.median, times.values()))
    return {
        "history, CPU time of a push, against none": 1 / statistics.median(costs),
        "history, slowest query, against 50 ms": history.BAR_MS / slowest,
    }


def traced() -> Ratios:
    """The CPU time of a push with traces and metrics, against one without."""
    serving_sides.require_wrk()
    with telemetry.receiver() as endpoint:
        off, on = (
            telemetry.cpu_us(environ, 1)
            for environ in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
        )
    return {"telemetry, CPU time of a push, against off": off / on}


JOBS = {
    "single sends/s": "send_per_s",
    "sends in a batch/s": "send_many_per_s",
    "drained/s": "drain_per_s",
}
GROUPS: dict[str, Callable[[], Ratios]] = {
    "serving": serving,
    "pubsub": pubsub,
    "jobs": sent_and_run,
    "steps": stepped,
    "worker": pulled,
    "processes": in_processes,
    "history": kept,
    "telemetry": traced,
}
BEGINNINGS = {
    "serving": "serving, ",
    "pubsub": "local Pub/Sub, ",
    "jobs": "jobs, ",
    "steps": "steps/s, ",
    "worker": "worker, ",
    "processes": "processes, ",
    "history": "history, ",
    "telemetry": "telemetry, ",
}
"""The start of the row names in each group."""


def recorded() -> Ratios:
    """Return the ratios that were recorded."""
    return dict(tomllib.loads(RATIOS.read_text())["ratios"]) if RATIOS.exists() else {}


def record(ratios: Ratios) -> None:
    rows = "".join(f'"{name}" = {ratio:.3g}\n' for name, ratio in sorted(ratios.items()))
    RATIOS.write_text(f"{HEADER}\n[ratios]\n{rows}")


HEADER = """\
# How many times better ours is than the other side of each benchmark. benchmarks/guard.py fails a
# run below 60 % of these ratios; the table in benchmarks/README.md is generated from them.
"""


def guard(groups: list[str], known: Ratios) -> list[str]:
    """Measure, print the ratios, and return the rows that stayed below their floors."""
    below: list[str] = []
    for group in groups:
        best: Ratios = {}
        for attempt in range(1 + RETRIES):
            try:
                measured = GROUPS[group]()
            except SystemExit as error:
                if os.environ.get("CI") == "true":
                    raise
                print(f"{group}: skipped: {error}")
                break
            best = {name: max(ratio, best.get(name, 0.0)) for name, ratio in measured.items()}
            rows = [*best, *(name for name in known if name.startswith(BEGINNINGS[group]))]
            below_now = [n for n in dict.fromkeys(rows) if is_below(best.get(n, 0.0), n, known)]
            if not below_now:
                break
            if attempt < RETRIES:
                print(f"once more, for {', '.join(below_now)}", file=sys.stderr, flush=True)
        else:
            below += below_now
        show(best, known)
    return below


def is_below(ratio: float, name: str, known: Ratios) -> bool:
    """Return True if a ratio is below its floor; a row without a record has none."""
    return ratio < FLOOR * known.get(name, 0.0)


def show(ratios: Ratios, known: Ratios) -> None:
    for name, ratio in ratios.items():
        floor = FLOOR * known.get(name, 0.0)
        verdict = "FAIL" if is_below(ratio, name, known) else "pass"
        print(f"{name:56}{ratio:9.3g}   at least {floor:<8.3g}{verdict}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(GROUPS), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--record", action="store_true", help="write the measured ratios")
    options = parser.parse_args()
    groups = options.only.split(",")
    started = time.monotonic()
    if options.record:
        ratios = recorded()
        for group in groups:
            ratios |= GROUPS[group]()
        record(ratios)
        show(ratios, {})
        return 0
    below = guard(groups, recorded())
    print(f"{time.monotonic() - started:.0f} s")
    for name in below:
        why = f"below {FLOOR:.0%} of its record three times, or not measured"
        print(f"{name}: {why}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
