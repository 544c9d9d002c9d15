"""The image as a service: locked up, on any port, for any task."""

from __future__ import annotations

import json

import pytest

from tests.integration.processes import wait_until

from .engine import Container, serve

pytestmark = pytest.mark.slow


def test_it_serves_on_the_port_that_it_is_told(tasks: Container) -> None:
    """Compose has set PORT, a read-only root file system, and no capabilities."""
    assert (tasks.get("/healthy").status, tasks.get("/healthy").body) == (200, b"ok")


def test_each_line_that_it_prints_is_a_json_object(tasks: Container) -> None:
    tasks.post("/crash", b"")
    tasks.post("/nowhere", b"")
    wait_until(lambda: tasks.log(message="ucam_faas_request_rejected"), "the line is logged")

    lines = [json.loads(line) for line in tasks.output().splitlines()]

    assert "ucam_faas_serving" in {line["message"] for line in lines}
    assert all({"severity", "time"} <= line.keys() for line in lines)


def test_error_reporting_gets_the_services_name(tasks: Container) -> None:
    assert tasks.post("/crash", b"").status == 500

    (line, *_) = wait_until(lambda: tasks.log(task="crash"), "the line is logged")

    assert line["serviceContext"] == {"service": "orders"}


def test_one_image_serves_any_task_of_the_collection(image: str) -> None:
    with serve(image, "--env=FUNCTION_TARGET=greet", "--env=NAME=Grace") as container:
        assert container.post("/", b"x").body == b"Good morning, Grace: x"
        assert container.post("/any/path", b"y").body == b"Good morning, Grace: y"
