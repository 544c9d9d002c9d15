"""A worker and the embedded Pub/Sub, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from tests.integration.processes import (
    UCAM_FAAS,
    Process,
    Server,
    environment,
    free_port,
    request,
    wait_until,
)
from ucam_faas.publishing.rest import RestPublisher

PROJECT = "local"
SOURCE = '''
import asyncio
import ctypes
import json
import os
import threading
import time
from contextlib import suppress
from datetime import timedelta

import ucam_faas
from pydantic import BaseModel


class Order(BaseModel):
    id: str
    seconds: float = 0


def effect(**fields: object) -> None:
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(json.dumps({"process": os.getpid(), **fields}) + "\\n")


@ucam_faas.message_handler
def charge(order: Order) -> None:
    effect(effect="begun", id=order.id)
    time.sleep(order.seconds)
    effect(effect="ended", id=order.id)


@ucam_faas.message_handler
def compute(order: Order) -> None:
    """Hold the interpreter lock in one call."""
    effect(effect="begun", id=order.id)
    ctypes.PyDLL(None).sleep(int(order.seconds))  # unlike CDLL, PyDLL keeps the lock
    effect(effect="ended", id=order.id)


@ucam_faas.message_handler
async def ignore_the_end(order: Order) -> None:
    effect(effect="begun", id=order.id)
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


@ucam_faas.message_handler(timeout=timedelta(seconds=0.5))
def stick(order: Order) -> None:
    threading.Event().wait()
'''


class PubSub(Process):
    """A running `ucam-faas emulator`."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        self.port = port or free_port()
        command = [UCAM_FAAS, "emulator", "--port", str(self.port), *arguments]
        super().__init__(command, folder, environment(folder))
        self.host = f"127.0.0.1:{self.port}"
        wait_until(self._answers, "the emulator answers")

    def publish(self, task: str, **order: object) -> None:
        """Publish an order to a task's topic."""
        self.publish_many(task, [order])

    def publish_many(self, task: str, orders: list[dict[str, object]]) -> None:
        """Publish orders to a task's topic."""
        from ucam_faas.publishing import Draft

        drafts = [Draft(json.dumps(order).encode(), {}) for order in orders]
        for start in range(0, len(drafts), 1000):
            some = drafts[start : start + 1000]
            RestPublisher(self.host).publish_many(f"projects/{PROJECT}/topics/{task}", some)

    def pull(self, subscription: str) -> list[dict[str, object]]:
        """Return the messages that wait, without acknowledging them."""
        body = json.dumps({"maxMessages": 1000, "returnImmediately": True}).encode()
        path = f"/v1/projects/{PROJECT}/subscriptions/{subscription}:pull"
        answer = request(self.port, "POST", path, body, {"Content-Type": "application/json"})
        return json.loads(answer.body).get("receivedMessages", [])  # type: ignore[no-any-return]

    def _answers(self) -> bool:
        assert self.popen.poll() is None, self.output
        try:
            return request(self.port, "GET", "/", seconds=5).status == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def pubsub(folder: Path, *arguments: str) -> Iterator[PubSub]:
    """Run the embedded Pub/Sub."""
    process = PubSub(folder, *arguments)
    try:
        yield process
    finally:
        process.kill()


class HasHost(Protocol):
    """A Pub/Sub: ours, or Google's emulator."""

    @property
    def host(self) -> str:
        """The value of PUBSUB_EMULATOR_HOST."""


class WorkerProcess(Server):
    """A running `ucam-faas worker`."""

    def __init__(self, folder: Path, pubsub: HasHost, *arguments: str, **environ: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        source = Path(environ.pop("SOURCE", folder / "main.py"))
        if not source.exists():
            source.write_text(SOURCE)
        environ = {
            "PUBSUB_EMULATOR_HOST": pubsub.host,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            **environ,
        }
        command = [UCAM_FAAS, "worker", str(source), *arguments]
        super().__init__(command, folder, environment(folder, **environ))

    def wait_until_it_pulls(self) -> None:
        """Wait for its announcement."""

        def pulls() -> bool:
            assert self.popen.poll() is None, f"It ended at its start: {self.output}"
            return bool(self.log("ucam_faas_worker_pulling"))

        wait_until(pulls, "it pulls")


@contextmanager
def worker(
    folder: Path, pubsub: HasHost, *arguments: str, **environ: str
) -> Iterator[WorkerProcess]:
    """Run a worker; it pulls when this returns."""
    process = WorkerProcess(folder, pubsub, *arguments, **environ)
    try:
        process.wait_until_it_pulls()
        yield process
    finally:
        process.kill()
