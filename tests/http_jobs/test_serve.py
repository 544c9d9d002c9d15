"""The service alone, as its container serves it: `ucam-faas serve` with its target."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration import test_functions_framework
from tests.integration.processes import UCAM_FAAS, environment, request, serving

pytestmark = pytest.mark.slow

SOURCE = str(Path(__file__).parent / "tasks.py")


def test_it_is_served_without_its_tasks_and_stores_jobs_while_pubsub_is_down(
    tmp_path: Path,
) -> None:
    environ = {
        "FUNCTION_SOURCE": SOURCE,
        "FUNCTION_TARGET": "api",
        "UCAM_FAAS_JOB_STORE": f"sqlite:{tmp_path / 'jobs.db'}",
        "GOOGLE_CLOUD_PROJECT": "shop",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }
    with serving("serve", folder=tmp_path / "server", **environ) as server:
        sent = request(server.port, "POST", "/jobs/refund", b'{"id": 1}')
        shown = request(server.port, "GET", sent.headers["location"])
        task = request(server.port, "POST", "/refund", b'{"id": 1}')
        wakes = server.log("ucam_faas_wake_failed")

    assert (sent.status, json.loads(sent.body)["id"]) == (202, "refund/1")
    assert sent.headers["location"] == "/jobs/refund/refund%2F1"
    assert (shown.status, json.loads(shown.body)["state"]) == (200, "PENDING")
    assert task.status == 404
    assert len(list(wakes)) == 1


def test_functions_framework_serves_it(tmp_path: Path) -> None:
    environ = {
        "UCAM_FAAS_JOB_STORE": f"sqlite:{tmp_path / 'jobs.db'}",
        "GOOGLE_CLOUD_PROJECT": "shop",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }
    server = test_functions_framework.start(tmp_path / "server", "api", SOURCE, **environ)
    try:
        sent = request(server.port, "POST", "/jobs/measure", b"x")
        refused = request(server.port, "POST", "/jobs/charge", b"{}")
    finally:
        server.kill()

    assert sent.status == 202
    assert (refused.status, json.loads(refused.body)["code"]) == (422, "payload-rejected")


def test_it_doesnt_start_without_a_store(tmp_path: Path) -> None:
    command = [UCAM_FAAS, "serve", SOURCE, "--target", "api", "--port", "0"]
    ended = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    assert "The task 'api' serves jobs over HTTP, and no store keeps them" in ended.stderr
