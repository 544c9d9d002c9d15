"""Processes: a task that computes in them against the same task in threads, and the cost of a call.

    python benchmarks/processes.py                 # half a minute

Both sides run in the Runner that serves pushes. The sides alternate. A ratio near the number of
CPUs is the most that can be had; other work on the machine lowers it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.serving.runner import Runner
from ucam_faas.tasks import registry
from ucam_faas.testing import make_push


@ucam_faas.message_handler(run_in_process=True, concurrency=os.cpu_count())
def compute(count: int) -> int:
    """Compute for about `count` microseconds."""
    total = 0
    for number in range(10 * count):
        total += number
    return total


class Side:
    """A runner, with processes or without."""

    def __init__(self, *, in_processes: bool) -> None:
        task = registry.task_of(compute)
        assert task is not None
        self.task = replace(task, run_in_process=in_processes)
        self.runtime = Runtime(Settings(log_level="ERROR"), SystemClock())
        self.runner = Runner([self.task], self.runtime)

    async def run(self, count: int, *, calls: int, at_a_time: int) -> list[float]:
        """Return the seconds of each call."""
        push, seconds = make_push(count), []
        turns = asyncio.Semaphore(at_a_time)

        async def one() -> None:
            async with turns:
                begin = time.perf_counter()
                delivery = envelopes.decode(push.body, push.headers, "/")
                conclusion = await self.runner.run(Execution(self.task, delivery, self.runtime))
                assert ucam_faas.outcomes.name(conclusion.outcome) == "done", conclusion
                seconds.append(time.perf_counter() - begin)

        await asyncio.gather(*(one() for _ in range(calls)))
        return seconds


async def timed(side: Side, **options: int) -> float:
    """Return the seconds of many calls at a time."""
    begin = time.perf_counter()
    await side.run(**options)
    return time.perf_counter() - begin


async def measure(rounds: int) -> dict[str, float]:
    """Return the medians of all rounds."""
    cpus = os.cpu_count() or 1
    sides = {name: Side(in_processes=name == "processes") for name in ("threads", "processes")}
    for side in sides.values():
        await side.runner.start_up()
        await side.run(1, calls=20 * cpus, at_a_time=cpus)
    many: dict[str, list[float]] = {name: [] for name in sides}
    single: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            many[name].append(await timed(side, count=20_000, calls=20 * cpus, at_a_time=cpus))
            single[name] += await side.run(1, calls=300, at_a_time=1)
    for side in sides.values():
        side.runner.close()
    middle: Callable[[list[float]], float] = statistics.median
    return {
        "CPUs": cpus,
        "computing, times faster": round(middle(many["threads"]) / middle(many["processes"]), 2),
        "call in a thread, µs": round(1e6 * middle(single["threads"])),
        "call in a process, µs": round(1e6 * middle(single["processes"])),
        "fastest call in a thread, µs": round(1e6 * min(single["threads"])),
        "fastest call in a process, µs": round(1e6 * min(single["processes"])),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.rounds)), ensure_ascii=False))


if __name__ == "__main__":
    main()
