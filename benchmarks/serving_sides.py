"""The servers that `serving.py` compares, as processes, and the load that is put on them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from local import HERE, free_port

BIN = Path(sys.executable).parent
PREVIOUS = "1.0.3"
PREVIOUS_VENV = HERE / f".ucam-faas-{PREVIOUS}"
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
HEADERS = {"Content-Type": "application/json"}
TASK = ["--source", HERE / "ours/main.py", "--target", "order"]
COMMANDS = {
    "ours": [BIN / "ucam-faas", *TASK],
    PREVIOUS: [PREVIOUS_VENV / "bin/ucam-faas", *TASK],
    "A": [
        BIN / "functions-framework",
        "--source",
        HERE / "functions_framework_reference/main.py",
        "--target",
        "order",
    ],
    "B": [
        BIN / "gunicorn",
        *("-k", "uvicorn_worker.UvicornWorker", "--log-level", "error"),
        *("--chdir", HERE, "asgi_reference:app"),
    ],
}


def require_wrk() -> None:
    """Stop where it is missing."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk")


def require() -> None:
    """Install the previous version, and stop where something is missing."""
    require_wrk()
    if not (PREVIOUS_VENV / "installed").exists():
        venv.create(PREVIOUS_VENV, with_pip=True, clear=True)
        pip = [PREVIOUS_VENV / "bin/python", "-m", "pip", "install", f"ucam-faas=={PREVIOUS}"]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"ucam-faas {PREVIOUS} cannot be installed:\n{done.stderr}")
        (PREVIOUS_VENV / "installed").touch()


def post(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", PUSH, HEADERS)
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def served(side: str, workers: int = 1) -> Iterator[tuple[int, float, int]]:
    """Start a side; yield its port, the seconds to its first 2xx, and its process id."""
    port = free_port()
    environ = os.environ | {"PYTHONPATH": str(HERE), "WORKERS": str(workers)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what pip installs is compiled; so is ours here
    command = [str(part) for part in COMMANDS[side]]
    if side == "B":
        command += ["--bind", f"127.0.0.1:{port}", "-w", str(workers)]
    else:
        command += ["--host", "127.0.0.1", "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
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


def throughput(port: int, seconds: float) -> float:
    """Requests a second of sixteen connections that are kept alive."""
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
    time.sleep(0.5)  # wrk leaves its last requests running
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert match, output
    return float(match.group(1))


def keep_alive_p50_ms(port: int, requests: int = 300) -> float:
    """Median time from request to answer on one connection that is kept alive."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    milliseconds = []
    for _ in range(requests):
        started = time.perf_counter()
        connection.request("POST", "/", PUSH, HEADERS)
        answer = connection.getresponse()
        answer.read()
        milliseconds.append(1000 * (time.perf_counter() - started))
        assert answer.status == 200, answer.status
    connection.close()
    return statistics.median(milliseconds[requests // 10 :])
