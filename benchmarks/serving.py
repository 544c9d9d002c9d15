"""Throughput, latency, start-up and memory against three references, all in one run.

    python benchmarks/serving.py            # needs wrk (Debian: apt-get install wrk)
    python benchmarks/serving.py --soak     # also 200,000 requests, for the growth of memory

1.0.3 is ucam-faas 1.0.3 with the same source file; A is a functions-framework handler under
gunicorn, B a bare ASGI application on the same worker as ours; see the files beside this one.
Figures are medians of alternating rounds.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections import defaultdict
from pathlib import Path

from serving_sides import COMMANDS, keep_alive_p50_ms, require, served, throughput

Figures = dict[str, list[float]]
ROWS = ("requests/s", "kept alive p50, ms", "start s", "worker MiB")


def worker_memory_mib(parent: int) -> float:
    """Resident memory of the worker, in MiB: of the arbiter's only child."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    status = Path(f"/proc/{children[-1] if children else parent}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match, status
    return int(match.group(1)) / 1024


def measure(side: str, seconds: int, workers: int) -> dict[str, float]:
    """Take one round of a side's figures."""
    with served(side, workers) as (port, start, process):
        throughput(port, 1)
        return {
            "start s": start,
            "requests/s": throughput(port, seconds),
            "kept alive p50, ms": keep_alive_p50_ms(port),
            "worker MiB": worker_memory_mib(process),
        }


def measure_start(side: str) -> float:
    with served(side) as (_, seconds, _):
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1, help="of each side")
    parser.add_argument("--sides", default=",".join(COMMANDS), help="ours and others")
    parser.add_argument("--soak", action="store_true", help="also 200,000 requests")
    options = parser.parse_args()
    require()
    results: dict[str, Figures] = {side: defaultdict(list) for side in options.sides.split(",")}
    for _ in range(options.rounds):
        for side, figures in results.items():
            for name, value in measure(side, options.seconds, options.workers).items():
                figures[name].append(value)
    for _ in range(3 * options.rounds):  # start-up varies more than the rest
        for side, figures in results.items():
            figures["start s"].append(measure_start(side))
    show(results)
    if options.soak:
        soak()


def show(results: dict[str, Figures]) -> None:
    others = [side for side in results if side != "ours"]
    ratios = "".join(f"{f'ours/{side}':>12}" for side in others)
    print(f"{'':20}" + "".join(f"{side:>10}" for side in results) + ratios)
    for name in ROWS:
        medians = {side: statistics.median(figures[name]) for side, figures in results.items()}
        values = "".join(f"{value:10.2f}" for value in medians.values())
        print(
            f"{name:20}{values}" + "".join(f"{medians['ours'] / medians[o]:12.2f}" for o in others)
        )


def soak() -> None:
    """Send 200,000 requests, and print the worker's memory on the way."""
    with served("ours") as (port, _, process):
        sent = 0.0
        print(f"\n{'requests':>10}{'worker MiB':>12}")
        while sent < 200_000:
            sent += throughput(port, 10) * 10
            print(f"{sent:10.0f}{worker_memory_mib(process):12.1f}", flush=True)


if __name__ == "__main__":
    main()
