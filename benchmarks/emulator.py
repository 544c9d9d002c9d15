"""Our Pub/Sub, durable, against Google's emulator as it is: speed, start, memory, in one run.

    python benchmarks/emulator.py                        # about 10 minutes; needs java and the SDK
    python benchmarks/emulator.py --quick                # one short round
    python benchmarks/emulator.py --only push,publish --json figures.json
    python benchmarks/emulator.py --only scale           # ours: 10,000 subscriptions, long lines

Sides alternate, each round with fresh processes; every measurement is a client process of its
own (`pubsub_load.py`), the same for both. Figures are medians, with the range; ratios are ours
divided by Google's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pubsub_sides import Side, running

LOAD = Path(__file__).parent / "pubsub_load.py"
Figures = dict[str, list[float]]
"""Measurements of a side: every value of every row."""


@dataclass(frozen=True)
class Size:
    """The number of repetitions and messages of each measurement."""

    rounds: int
    starts: int
    """Further starts of each side in a round, for the time to be ready."""
    publish: int
    pull: int
    stream: int
    push: int
    latency: int
    publish_one: int
    through: int
    backlog: int


FULL = Size(3, 2, 50_000, 50_000, 20_000, 10_000, 100, 500, 200_000, 1_000_000)
QUICK = Size(1, 1, 10_000, 20_000, 5_000, 2_000, 40, 100, 20_000, 100_000)


@dataclass(frozen=True)
class Bar:
    """The limit on our figure divided by Google's; without a limit the ratio is only shown."""

    unit: str
    limit: float | None = None
    at_least: bool = False

    def passed(self, ratio: float) -> bool | None:
        if self.limit is None:
            return None
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g}"


BARS = {
    "push": Bar("messages/s", 3, at_least=True),
    "StreamingPull": Bar("messages/s", 3, at_least=True),
    "publish, client batching": Bar("messages/s", 0.8, at_least=True),
    "pull + acknowledge": Bar("messages/s", 0.6, at_least=True),
    "push latency p50": Bar("ms", 0.25),
    "push latency p95": Bar("ms"),
    "push latency p50, 20/s": Bar("ms", 0.25),
    "push latency p95, 20/s": Bar("ms"),
    "publish one, gRPC, p50": Bar("ms", 1),
    "publish one, REST, p50": Bar("ms", 1),
    "ready, GET /": Bar("s", 1),
    "ready, gRPC": Bar("s", 1),
    "memory, idle, Pss": Bar("MB", 0.5),
    "memory, idle, Rss": Bar("MB", 0.5),
    "memory, after messages, Pss": Bar("MB", 0.5),
    "memory, after messages, Rss": Bar("MB", 0.5),
}
BACKLOG = {
    "publish, one caller": Bar("messages/s", 0.5, at_least=True),
    "publish, client batching": Bar("messages/s", 0.5, at_least=True),
    "pull + acknowledge": Bar("messages/s", 0.5, at_least=True),
}
"""Our Pub/Sub with a backlog, compared with ours without one."""
SCALE = {
    "publish p50": Bar("ms", 1.5),
    "create a subscription": Bar("1/s", 0.5, at_least=True),
    "nack in reverse, one key": Bar("messages/s", 0.5, at_least=True),
}
"""Our Pub/Sub at scale, compared with ours without subscriptions and with a quarter of the line."""
SUBSCRIPTIONS, LINE = 10_000, 20_000
BACKLOG_MB = 300
VERDICTS = {True: "pass", False: "FAIL", None: ""}
NAME = 38
"""Width of the table's first column."""
GROUPS = ("ready", "memory", "publish", "pull", "stream", "push", "latency", "one", "backlog")


def load(side: Side, measure: str, count: int, *more: str) -> Any:
    """Run a client process, and return its figures."""
    command = [sys.executable, str(LOAD), measure, side.host, str(count), *more]
    output = side.log.with_name("load")
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        while process.poll() is None:
            side.check()
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    text = output.read_text()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{text}")
    return json.loads(text.splitlines()[-1])


def measure(name: str, size: Size, only: set[str], rows: Figures) -> None:
    """Take one round of a side's figures."""
    for _ in range(size.starts if "ready" in only else 0):
        with running(name) as side:
            note_start(side, rows)
    if only & {"ready", "memory"}:
        with running(name) as side:
            if "ready" in only:
                note_start(side, rows)
            if "memory" in only:
                time.sleep(1)
                note_memory(side, "idle", rows)
                load(side, "through", size.through)
                note_memory(side, "after messages", rows)
    if only & {"publish", "pull", "stream", "push", "latency", "one"}:
        with running(name) as side:
            measure_speed(side, size, only, rows)


def note_start(side: Side, rows: Figures) -> None:
    rows["ready, GET /"].append(side.seconds_to_http)
    rows["ready, gRPC"].append(side.seconds_to_grpc)


def note_memory(side: Side, when: str, rows: Figures) -> None:
    for kind in ("Pss", "Rss"):
        rows[f"memory, {when}, {kind}"].append(side.memory_mb(kind))


def measure_speed(side: Side, size: Size, only: set[str], rows: Figures) -> None:
    for group, row, count in (
        ("publish", "publish, client batching", size.publish),
        ("pull", "pull + acknowledge", size.pull),
        ("stream", "StreamingPull", size.stream),
        ("push", "push", size.push),
    ):
        if group in only:
            rows[row].append(load(side, group, count)["messages/s"])
    if "one" in only:
        for way in ("gRPC", "REST"):
            figures = load(side, f"{way.lower()}_publish", size.publish_one)
            rows[f"publish one, {way}, p50"].append(figures["p50 ms"])
    if "latency" in only:
        for ending, options in (("", []), (", 20/s", ["20"])):
            figures = load(side, "latency", size.latency, *options)
            for percentile in ("p50", "p95"):
                row = f"push latency {percentile}{ending}"
                rows[row].append(figures[f"{percentile} ms"])


def measure_backlog(size: Size, empty: Figures, full: Figures) -> None:
    """Measure ours without and with a backlog, in one process."""
    with running("ours") as side:
        load(side, "pull", size.pull)  # to warm it up
        for _ in range(size.rounds):
            empty["publish, one caller"].append(load(side, "fill", size.publish)["messages/s"])
            figures = load(side, "publish", size.publish)
            empty["publish, client batching"].append(figures["messages/s"])
            empty["pull + acknowledge"].append(load(side, "pull", size.pull)["messages/s"])
        place = load(side, "fill", size.backlog)
        full["memory"].append(side.memory_mb())
        for _ in range(size.rounds):
            figures = load(side, "fill", size.publish, place["topic"])
            full["publish, one caller"].append(figures["messages/s"])
            figures = load(side, "publish", size.publish, place["topic"])
            full["publish, client batching"].append(figures["messages/s"])
            full["memory"].append(side.memory_mb())
            figures = load(side, "pull", size.pull, place["subscription"])
            full["pull + acknowledge"].append(figures["messages/s"])
            full["memory"].append(side.memory_mb())


def measure_scale(size: Size, small: Figures, large: Figures) -> None:
    """Measure ours with few and with many subscriptions, and with short and long lines."""
    for _ in range(size.rounds):
        with running("ours") as side:
            small["publish p50"].append(load(side, "grpc_publish", 1000)["p50 ms"])
            figures = load(side, "subscribe", SUBSCRIPTIONS)
            small["create a subscription"].append(figures["first/s"])
            large["create a subscription"].append(figures["rest/s"])
            large["publish p50"].append(load(side, "grpc_publish", 1000)["p50 ms"])
        with running("ours") as side:
            for rows, count in ((small, LINE // 4), (large, LINE)):
                rate = load(side, "nack", count)["messages/s"]
                rows["nack in reverse, one key"].append(rate)


def row_of(name: str, bar: Bar, ours: list[float], other: list[float]) -> dict[str, Any]:
    ratio = statistics.median(ours) / statistics.median(other)
    return {
        "name": name,
        "unit": bar.unit,
        "ours": ours,
        "other": other,
        "ratio": ratio,
        "bar": str(bar),
        "passed": bar.passed(ratio),
    }


def show(title: str, other: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        print(f"\n{title:{NAME}}{'ours':>26}{other:>26}{'ratio':>9}{'bar':>9}")
    for row in rows:
        figures = "".join(f"{spread(row[side]):>26}" for side in ("ours", "other"))
        verdict = VERDICTS[row["passed"]]
        name = f"{row['name']}, {row['unit']}"
        print(f"{name:{NAME}}{figures}{row['ratio']:>9.3g}{row['bar']:>9}  {verdict}")


def spread(values: list[float]) -> str:
    """Median and range, with digits that say something."""
    digits = 0 if statistics.median(values) >= 1000 else 1 if min(values) >= 10 else 2
    texts = [f"{value:.{digits}f}" for value in (statistics.median(values), *extremes(values))]
    return f"{texts[0]} ({texts[1]}–{texts[2]})"  # noqa: RUF001  # an en dash between numbers


def extremes(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    groups = (*GROUPS, "scale")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"of {', '.join(groups)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    options = parser.parse_args()
    only = set(options.only.split(","))
    if not only <= set(groups):
        parser.error(f"--only takes {', '.join(groups)}; not {', '.join(only - set(groups))}")
    size = QUICK if options.quick else FULL
    if options.rounds:
        size = Size(**{**asdict(size), "rounds": options.rounds})

    figures: dict[str, Figures] = {"ours": defaultdict(list), "google": defaultdict(list)}
    started = time.monotonic()
    if only - {"backlog", "scale"}:
        for number in range(size.rounds):
            for name in ("ours", "google") if number % 2 == 0 else ("google", "ours"):
                print(f"round {number + 1} of {size.rounds}: {name}", file=sys.stderr, flush=True)
                measure(name, size, only, figures[name])
    rows = [
        row_of(name, bar, figures["ours"][name], figures["google"][name])
        for name, bar in BARS.items()
        if name in figures["ours"]
    ]
    show(f"messages of 100 bytes; {size.rounds} rounds", "Google's emulator", rows)

    backlog: list[dict[str, Any]] = []
    if "backlog" in only:
        empty: Figures = defaultdict(list)
        full: Figures = defaultdict(list)
        measure_backlog(size, empty, full)
        backlog = [row_of(name, bar, full[name], empty[name]) for name, bar in BACKLOG.items()]
        show(f"with a backlog of {size.backlog:,}", "ours without", backlog)
        most = max(full["memory"])
        passed = most < BACKLOG_MB
        print(f"{'memory, MB (the most)':{NAME}}{most:>26.0f}{f'< {BACKLOG_MB}':>44}", end="")
        print(f"  {VERDICTS[passed]}")
        backlog.append({"name": "memory", "ours": full["memory"], "passed": passed})

    scale: list[dict[str, Any]] = []
    if "scale" in only:
        small: Figures = defaultdict(list)
        large: Figures = defaultdict(list)
        measure_scale(size, small, large)
        scale = [row_of(name, bar, large[name], small[name]) for name, bar in SCALE.items()]
        show(f"{SUBSCRIPTIONS:,} subscriptions, {LINE:,} in a line", "small", scale)

    if options.json:
        about = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "size": asdict(size),
        }
        text = json.dumps({**about, "rows": rows, "backlog": backlog, "scale": scale}, indent=1)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
