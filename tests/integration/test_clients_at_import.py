"""Clients that are made when the tasks are imported, before the processes that serve are forked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import request
from tests.worker.processes import PROJECT, PubSub, pubsub
from ucam_faas.testing import make_push

pytestmark = pytest.mark.slow

TOPIC = f"projects/{PROJECT}/topics/charge"
SOURCE = f"""
import os
import ucam_faas
from google.cloud import pubsub_v1

TOPIC = "{TOPIC}"
client = pubsub_v1.PublisherClient()
if "USE" in os.environ:
    client.publish(TOPIC, b"import").result(timeout=30)

@ucam_faas.Defer
def own():
    return pubsub_v1.PublisherClient()

@ucam_faas.message_handler
def here(data: bytes) -> None:
    client.publish(TOPIC, b"here").result(timeout=30)

@ucam_faas.message_handler
def deferred(data: bytes) -> None:
    own().publish(TOPIC, b"deferred").result(timeout=30)

@ucam_faas.message_handler(run_in_process=True, concurrency=1)
def apart(data: bytes) -> None:
    client.publish(TOPIC, b"apart").result(timeout=30)
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSub]:
    with pubsub(tmp_path_factory.mktemp("pubsub")) as process:
        assert request(process.port, "PUT", f"/v1/{TOPIC}", b"{}").status == 200
        yield process


def served(serve: Any, cloud: PubSub, tmp_path: Path, **environ: str) -> Any:
    (tmp_path / "main.py").write_text(SOURCE)
    source = str(tmp_path / "main.py")
    return serve(FUNCTION_SOURCE=source, PUBSUB_EMULATOR_HOST=cloud.host, WORKERS="2", **environ)


def push(server: Any, task: str) -> int:
    message = make_push(b"x")
    return int(server.post(f"/{task}", message.body, headers=message.headers).status)


def test_a_grpc_client_of_the_import_works_if_its_first_call_is_a_tasks(
    serve: Any, cloud: PubSub, tmp_path: Path
) -> None:
    server = served(serve, cloud, tmp_path)

    assert {push(server, task) for task in ("here", "deferred", "apart") for _ in range(3)} == {200}
    assert server.log("ucam_faas_connected_at_import") == []


def test_a_connection_of_the_import_is_warned_of_and_processes_have_their_own(
    serve: Any, cloud: PubSub, tmp_path: Path
) -> None:
    server = served(serve, cloud, tmp_path, USE="1")

    (line,) = server.log("ucam_faas_connected_at_import")
    assert (line["severity"], line["peers"]) == ("WARNING", [cloud.host])
    assert [push(server, "apart") for _ in range(3)] == [200, 200, 200]
