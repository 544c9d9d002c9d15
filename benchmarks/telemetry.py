"""The cost of OpenTelemetry for a served push: off, and on with a receiver, in turns in one run.

    python benchmarks/telemetry.py                     # needs wrk
    python benchmarks/telemetry.py --before CHECKOUT   # also off, in another version of the package

The receiver is a process that reads requests and answers 200. Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local import HERE, free_port
from serving_sides import TASK, keep_alive_p50_ms, post, throughput

TICK = os.sysconf("SC_CLK_TCK")


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--receive", str(port)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def served(environ: dict[str, str]) -> Iterator[tuple[int, float, int]]:
    """Start a server; yield its port, the seconds to its first 2xx, and its process id."""
    port = free_port()
    command = [sys.executable, "-m", "ucam_faas", *map(str, TASK)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(HERE), **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with contextlib.suppress(OSError):
                if 200 <= post(port) < 300:
                    break
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"it did not start: {command}")
            time.sleep(0.002)
        yield port, time.perf_counter() - began, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def cpu_seconds(parent: int) -> float:
    """Return the CPU time of the worker."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    fields = Path(f"/proc/{children[-1]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def load(port: int, process: int, seconds: int) -> tuple[float, float]:
    """Return the requests a second, and the CPU time of one in microseconds."""
    throughput(port, 1)
    before = cpu_seconds(process)
    rate = throughput(port, seconds)
    return rate, (cpu_seconds(process) - before) / (rate * seconds) * 1e6


def cpu_us(environ: dict[str, str], seconds: int) -> float:
    """Return the CPU time of a request in microseconds."""
    with served(environ) as (port, _, process):
        return load(port, process, seconds)[1]


def measure(environ: dict[str, str], seconds: int) -> dict[str, float]:
    with served(environ) as (port, start, process):
        rate, cpu = load(port, process, seconds)
        return {
            "requests/s": rate,
            "CPU us a request": cpu,
            "kept alive p50, ms": keep_alive_p50_ms(port),
            "start s": start,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--before", type=Path, help="a checkout")
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        ThreadingHTTPServer(("127.0.0.1", options.receive), Receiver).serve_forever()
    with receiver() as endpoint:
        sides: dict[str, dict[str, str]] = {"off": {}}
        if options.before:
            sides["before"] = {"PYTHONPATH": f"{options.before}:{HERE}"}
        sides["on"] = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        sides["on, Cloud Run"] = {**sides["on"], "K_REVISION": "r-1"}
        results: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in sides}
        for _ in range(options.rounds):
            for side, environ in sides.items():
                for name, value in measure(environ, options.seconds).items():
                    results[side][name].append(value)
    show(results)


def show(results: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'':20}" + "".join(f"{side:>26}" for side in results))
    for name in results["off"]:
        off = statistics.median(results["off"][name])
        cells = []
        for figures in results.values():
            value = statistics.median(figures[name])
            cells.append(f"{value:16,.3f} ({value / off:5.2f} x)")
        print(f"{name:20}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
