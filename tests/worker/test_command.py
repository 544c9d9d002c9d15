"""`ucam-faas worker` as a process."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, environment, free_port, request, wait_until

from .processes import pubsub, worker

pytestmark = pytest.mark.slow


def test_it_pulls_and_ends_in_order_on_sigterm(tmp_path: Path) -> None:
    with (
        pubsub(tmp_path / "pubsub") as cloud,
        worker(tmp_path / "worker", cloud, "--target", "charge") as process,
    ):
        cloud.publish("charge", id="1", seconds=0.5)
        wait_until(lambda: process.effects("begun"), "it runs")
        process.signal(signal.SIGTERM)

        assert process.wait() == 0
        assert process.effects("ended")
        (line,) = process.log("ucam_faas_worker_ended")
        assert (line["processed"], line["returned"]) == (1, 0)
        assert cloud.pull("charge") == []


def test_it_ends_after_the_messages_that_it_was_asked_for(tmp_path: Path) -> None:
    arguments = ("--target", "charge", "--messages-limit", "2")
    with (
        pubsub(tmp_path / "pubsub") as cloud,
        worker(tmp_path / "worker", cloud, *arguments) as process,
    ):
        cloud.publish_many("charge", [{"id": str(number)} for number in range(5)])

        assert process.wait() == 0
        assert len(process.effects("ended")) == 2


def test_tasks_that_it_leaves_out_need_no_store(tmp_path: Path) -> None:
    """It ends for want of a project, which it asks for later."""
    (tmp_path / "main.py").write_text(
        "import ucam_faas\n"
        "@ucam_faas.message_handler(idempotent=True)\ndef pushed(data: bytes): ...\n"
        "@ucam_faas.message_handler(run_as='worker')\ndef pulled(data: bytes): ...\n"
    )
    command = [UCAM_FAAS, "worker", "main.py"]

    process = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert process.returncode == 2
    assert "The project of the subscriptions is not known" in process.stderr


def test_its_health_endpoint_says_when_it_is_ready(tmp_path: Path) -> None:
    port = free_port()
    with (
        pubsub(tmp_path / "pubsub") as cloud,
        worker(tmp_path / "worker", cloud, "--health-port", str(port)) as process,
    ):
        assert request(port, "GET", "/ready").body == b"ok"
        assert request(port, "GET", "/live").body == b"ok"
        assert request(port, "GET", "/nothing").status == 404

        cloud.publish("charge", id="1", seconds=2)
        wait_until(lambda: process.effects("begun"), "it runs")
        process.signal(signal.SIGTERM)
        wait_until(lambda: request(port, "GET", "/ready").status == 503, "it is not ready")


def test_a_process_with_too_many_stuck_threads_ends_with_1(tmp_path: Path) -> None:
    with (
        pubsub(tmp_path / "pubsub") as cloud,
        worker(
            tmp_path / "worker",
            cloud,
            *("--target", "stick"),
            UCAM_FAAS_MAX_ABANDONED_THREADS="0",
        ) as process,
    ):
        cloud.publish("stick", id="1")

        assert process.wait() == 1
        assert process.log("ucam_faas_process_replaced")


def test_a_task_that_ignores_its_cancellation_keeps_no_process(tmp_path: Path) -> None:
    arguments = ("--target", "ignore_the_end", "--graceful-shutdown-time", "0")
    with (
        pubsub(tmp_path / "pubsub") as cloud,
        worker(tmp_path / "worker", cloud, *arguments) as process,
    ):
        cloud.publish("ignore_the_end", id="1")
        wait_until(lambda: process.effects("begun"), "it runs")
        process.signal(signal.SIGTERM)

        assert process.wait() == 0
        (line,) = process.log("ucam_faas_worker_ended")
        assert line["returned"] == 1
