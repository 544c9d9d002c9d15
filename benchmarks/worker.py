"""Pulling: a backlog of messages, drained by our worker, by a bare subscriber, and by repid 2.1.

    python benchmarks/worker.py                       # 3 rounds of 20,000 messages; about 3 minutes
    python benchmarks/worker.py --only ours,bare --rounds 1
    python benchmarks/worker.py --soak                # 200,000 messages by ours, and its memory

The sides alternate, each on a new emulator (ours, in memory). Each parses the message with the same
pydantic model; ours and `bare` write a line of the same fields. A side measures from its first
message to its last. `silent` is the bare subscriber without lines. repid is installed at the first
run.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from local import HERE, PROJECT, process, pubsub, python_with, request, resident_mib

SIDES = HERE / "worker_sides"
REPID = ["repid[pubsub,pydantic]==2.1.*", "requests"]
ORDER = {"order_id": "o-1", "customer": "c-42", "amount": 19.5, "items": ["pen", "paper", "ink"]}
NAMES = ("ours", "ours-sync", "ours-batch", "bare", "silent", "repid")
ASKED = {"bare": 0.8, "repid": 3.0}
"""How many times the speed of each side ours should have, at least."""


def _command(side: str, count: int) -> list[str]:
    if side.startswith("ours"):
        source = str(SIDES / f"side_{side.replace('-', '_')}.py")
        options = ["--messages-limit", str(count), "--target", "order"]
        return [sys.executable, "-m", "ucam_faas", "worker", source, *options]
    python = python_with("repid", REPID) if side == "repid" else sys.executable
    name = {"silent": "bare"}.get(side, side)
    return [python, str(SIDES / f"side_{name}.py")]


@contextlib.contextmanager
def _backlog(folder: Path, count: int) -> Iterator[int]:
    """Run our Pub/Sub with a backlog, and yield its port."""
    with pubsub(folder, "--memory", topic="order") as port:
        data = base64.b64encode(json.dumps(ORDER).encode()).decode()
        attributes = {"topic": "order", "content_type": "application/json"}
        batch = {"messages": [{"data": data, "attributes": attributes}] * 1000}
        for _ in range(count // 1000):
            request(port, "POST", f"v1/{PROJECT}/topics/order:publish", batch)
        yield port


def measure(side: str, count: int) -> dict[str, float]:
    """Measure one side in one round."""
    with tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as name:
        folder = Path(name)
        with _backlog(folder, count) as port:
            environ = {
                **os.environ,
                "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{port}",
                "GOOGLE_CLOUD_PROJECT": "local",
                "WORKER_COUNT": str(count),
                "WORKER_RESULT": str(folder / "result"),
                "WORKER_LINES": "0" if side == "silent" else "1",
                "UCAM_FAAS_LOG_FORMAT": "json",
                "PYTHONPATH": f"{SIDES}:{HERE}",
            }
            with process(_command(side, count), folder / "side.log", environ) as started:
                memory = _watch(started, folder)
            if not (folder / "result").exists():
                raise SystemExit(f"{side}: {(folder / 'side.log').read_text()[-3000:]}")
            figures = json.loads((folder / "result").read_text())
            return {**figures, **memory}


def _watch(started: subprocess.Popen[bytes], folder: Path) -> dict[str, float]:
    """Wait for the result, and return the memory in MiB: after a tenth of the time, and at last."""
    samples: list[float] = []
    end = time.monotonic() + 600
    while time.monotonic() < end and started.poll() is None:
        if (folder / "result").exists() and (folder / "result").stat().st_size:
            break
        with contextlib.suppress(OSError, IndexError):
            samples.append(resident_mib(started.pid))
        time.sleep(0.05)
    tenth = samples[len(samples) // 10] if samples else 0.0
    return {"memory_first_mib": tenth, "memory_last_mib": max(samples[-10:], default=0.0)}


def main() -> None:
    """Run the sides in turn, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--soak", action="store_true")
    options = parser.parse_args()
    sides = ["ours"] if options.soak else options.only.split(",")
    count = 200_000 if options.soak else options.messages
    results: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(1 if options.soak else options.rounds):
        for side in sides:
            results[side].append(measure(side, count))
            print(side, results[side][-1], file=sys.stderr, flush=True)
    medians = {
        side: {
            name: round(statistics.median(figures[name] for figures in rounds), 1)
            for name in rounds[0]
        }
        for side, rounds in results.items()
    }
    for side, figures in medians.items():
        print(json.dumps({"side": side, **figures}))
    for side, asked in ASKED.items():
        if side in medians and "ours" in medians:
            ratio = medians["ours"]["per_s"] / medians[side]["per_s"]
            cpu = medians[side]["cpu_us"] / medians["ours"]["cpu_us"]
            ratios = {"ratio": round(ratio, 2), "of_cpu": round(cpu, 2), "asked": asked}
            print(json.dumps({"ours_times": side, **ratios}))


if __name__ == "__main__":
    main()
