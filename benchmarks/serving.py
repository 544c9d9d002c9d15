"""Throughput, start-up and memory against two references, all in one run.

    python benchmarks/serving.py            # needs wrk (Debian: apt-get install wrk)
    python benchmarks/serving.py --soak     # also 200,000 requests, for the growth of memory

Reference A is a functions-framework handler under gunicorn, B a bare ASGI application on the same
worker as ours; see the files beside this one. Figures are medians of alternating rounds.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
ORDER = {"order_id": "o-1", "customer": "c-42", "amount": 19.5, "items": ["pen", "paper", "ink"]}
PUSH = json.dumps(
    {
        "message": {
            "data": base64.b64encode(json.dumps(ORDER).encode()).decode(),
            "attributes": {"origin": "shop"},
            "messageId": "1234567890",
            "message_id": "1234567890",
            "publishTime": "2026-01-31T09:00:00.123Z",
            "publish_time": "2026-01-31T09:00:00.123Z",
        },
        "subscription": "projects/p/subscriptions/order",
    }
)
COMMANDS = {
    "ours": [BIN / "ucam-faas", "--source", HERE / "ours/main.py", "--target", "order"],
    "A": [
        BIN / "functions-framework",
        "--source",
        HERE / "functions_framework_reference/main.py",
        "--target",
        "order",
    ],
    "B": [
        BIN / "gunicorn",
        *("-w", "1", "-k", "uvicorn_worker.UvicornWorker", "--log-level", "error"),
        *("--chdir", HERE, "asgi_reference:app"),
    ],
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def post(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", PUSH, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def served(side: str) -> Iterator[tuple[int, float, int]]:
    """Start a side; yield its port, the seconds to its first 2xx, and its process id."""
    port = free_port()
    environ = os.environ | {"PORT": str(port), "PYTHONPATH": str(HERE), "WORKERS": "1"}
    command = [str(part) for part in COMMANDS[side]]
    command += ["--bind", f"127.0.0.1:{port}"] if side == "B" else ["--host", "127.0.0.1"]
    if side == "A":
        command += ["--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError):
                if 200 <= post(port) < 300:
                    break
            if process.poll() is not None or time.perf_counter() - started > 30:
                raise SystemExit(f"{side} did not start: {command}")
            time.sleep(0.002)
        yield port, time.perf_counter() - started, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def throughput(port: int, seconds: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = PUSH.replace("\\", "\\\\").replace("'", "\\'")
        script.write(
            f"wrk.method = 'POST'\nwrk.body = '{body}'\n"
            "wrk.headers['Content-Type'] = 'application/json'\n"
        )
        script.flush()
        command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", script.name]
        url = f"http://127.0.0.1:{port}/"
        output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"not every answer was a 2xx:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found, output
    return float(found.group(1))


def worker_memory_mib(parent: int) -> float:
    """Resident memory of the worker, in MiB: of the arbiter's only child."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    status = Path(f"/proc/{children[-1] if children else parent}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found, status
    return int(found.group(1)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--soak", action="store_true", help="also 200,000 requests")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk")
    found: dict[str, dict[str, list[float]]] = {
        side: {"requests/s": [], "start s": [], "worker MiB": []} for side in COMMANDS
    }
    for _ in range(options.rounds):
        for side, figures in found.items():
            with served(side) as (port, seconds, process):
                figures["start s"].append(seconds)
                throughput(port, 1)
                time.sleep(0.5)  # wrk leaves its last requests running
                figures["requests/s"].append(throughput(port, options.seconds))
                figures["worker MiB"].append(worker_memory_mib(process))
    for _ in range(3 * options.rounds):  # start-up varies more than the rest
        for side in COMMANDS:
            with served(side) as (_, seconds, _):
                found[side]["start s"].append(seconds)
    medians = {
        side: {name: statistics.median(values) for name, values in figures.items()}
        for side, figures in found.items()
    }
    print(f"{'':12}{'ours':>10}{'A':>10}{'B':>10}{'ours/A':>10}{'ours/B':>10}")
    for name in ("requests/s", "start s", "worker MiB"):
        ours, a, b = (medians[side][name] for side in ("ours", "A", "B"))
        print(f"{name:12}{ours:10.2f}{a:10.2f}{b:10.2f}{ours / a:10.2f}{ours / b:10.2f}")
    if options.soak:
        soak()


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
