"""A running `ucam-faas dev` of the bookshop in `tasks/`, with its dashboard."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.dev.cloud import PROJECT, Dev, running
from tests.integration.processes import request, wait_until

TASKS = Path(__file__).parent / "tasks" / "main.py"
_MOST_IN_A_CALL = 1000


class Bookshop:
    """The shop, as those see it who send to it.

    Args:
        dev: its process.
        dashboard: the origin of its pages.
    """

    def __init__(self, dev: Dev, dashboard: str) -> None:
        self.dev = dev
        self.dashboard = dashboard

    def publish(self, topic: str, *payloads: Any, **attributes: str) -> list[str]:
        """Publish payloads, and return the messages' ids."""
        ids: list[str] = []
        for start in range(0, len(payloads), _MOST_IN_A_CALL):
            messages = [
                {"data": base64.b64encode(_bytes(payload)).decode(), "attributes": attributes}
                for payload in payloads[start : start + _MOST_IN_A_CALL]
            ]
            path = f"projects/{PROJECT}/topics/{topic}:publish"
            answer = self.dev.rest.call("POST", path, {"messages": messages})
            assert answer.status == 200, answer
            ids += json.loads(answer.body)["messageIds"]
        return ids

    def publish_paced(self, topic: str, payloads: Sequence[Any], *, a_second: int) -> list[str]:
        """Publish payloads at a pace, and return the messages' ids: 20 parts of each second."""
        ids: list[str] = []
        size, begin = a_second // 20, time.monotonic()
        for start in range(0, len(payloads), size):
            due = begin + start / a_second
            wait_until(lambda due=due: time.monotonic() >= due, "it is time for the next part")
            ids += self.publish(topic, *payloads[start : start + size])
        return ids

    def fail(self, task: str, payloads: Sequence[Any]) -> list[str]:
        """Publish payloads that a task fails for; return their ids when all are dead letters."""
        line = f"of {task}-dead-letter"
        before = len(self.dev.shown("dead", line))
        ids = self.publish(task, *payloads)
        self.dev.wait_shown("dead", line, count=before + len(ids))
        return ids

    def send(self, task: str, payload: Any) -> str:
        """Send a job, and return its id."""
        done = self.dev.run("send", task, json.dumps(payload), "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["id"])

    def fail_job(self, task: str, payload: Any) -> str:
        """Send a job that fails, and return its id after its end."""
        job = self.send(task, payload)
        self.dev.wait_shown("dead", job)
        return job

    def run_of(self, message: str) -> str:
        """Return the id of an execution for a message, once the message's page has it."""
        port = int(self.dashboard.rpartition(":")[2])

        def find() -> str | None:
            page = request(port, "GET", f"/messages/{message}").body.decode()
            run = re.search(r"/runs/(\w+)", page)
            return run and run[1]

        return wait_until(find, f"a run of message {message}") or ""

    def wait_done(self, task: str, count: int = 1) -> None:
        """Wait until a task has done this many messages."""
        wait_until(lambda: len(self.dev.shown("done", f"{task} ")) >= count, f"{count} x {task}")


@contextmanager
def open_bookshop(folder: Path) -> Iterator[Bookshop]:
    """Run it in a folder, until the end of the block."""
    shutil.copy(TASKS, folder / "main.py")
    with running(folder, "--dashboard-port", "0") as dev:
        first, *_ = dev.stdout.splitlines()
        yield Bookshop(dev, first.removeprefix("Dashboard on "))


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
