"""One id is one job: however many send it at once, and after its end, on each store."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

import ucam_faas
from tests.dev.cloud import Dev, environ_of
from tests.integration.processes import wait_until
from ucam_faas.exceptions import JobNotFoundError
from ucam_faas.jobs.states import State
from ucam_faas.testing import JobsFactory

pytestmark = pytest.mark.slow

SECONDS = 60
THREADS = 50

SEND = f"""
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
import main
from ucam_faas.exceptions import JobConflictError

def send(order):
    together.wait()
    try:
        return main.charge.send(main.Order(id=order), id=sys.argv[1])
    except JobConflictError as error:
        return str(error)

print("ready", flush=True)
sys.stdin.readline()
together = threading.Barrier({THREADS})
orders = [int(order) for order in sys.argv[2:]] * {THREADS}
with ThreadPoolExecutor({THREADS}) as pool:
    sent = list(pool.map(send, orders[:{THREADS}]))
handles = set(job for job in sent if not isinstance(job, str))
errors = [error for error in sent if isinstance(error, str)]
print(json.dumps([[job.id for job in handles], errors]))
"""


def send_together(dev: Dev, id: str, *orders: int) -> tuple[set[str], list[str]]:
    """Send an id in two processes of 50 threads each; return the ids that these got, and errors."""
    command = [sys.executable, "-c", SEND, id, *map(str, orders)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    senders = [
        subprocess.Popen(command, cwd=dev.folder, env=environ_of(dev.folder), **pipes)
        for _ in range(2)
    ]
    for sender in senders:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "ready\n"
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write("go\n")
        sender.stdin.flush()
    ids: set[str] = set()
    errors: list[str] = []
    for sender in senders:
        output, _ = sender.communicate(timeout=60)
        handles, refused = json.loads(output)
        assert len(handles) <= 1  # equal handles
        ids |= set(handles)
        errors += refused
    return ids, errors


def test_an_id_that_fifty_threads_of_two_processes_send_is_one_run(dev: Dev, shop: Any) -> None:
    ids, errors = send_together(dev, "together", 401)

    job = ucam_faas.get_job(shop.charge, "together")
    assert (ids, errors) == ({job.id}, [])
    assert job.result(SECONDS).executions == 1
    assert [entry.cause for entry in job.history] == ["sent", "claimed", "finished"]


def test_an_id_that_fifty_threads_send_is_one_run_in_memory(ucam_faas_jobs: JobsFactory) -> None:
    runs = []

    @ucam_faas.message_handler
    def task(numbers: list[int]) -> int:
        runs.append(numbers)
        return len(runs)

    jobs = ucam_faas_jobs(task)
    contexts = [copy_context() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        send = partial(task.send, [1], id="together")
        handles = set(pool.map(lambda context: context.run(send), contexts))
    jobs.run_all()

    assert len(handles) == 1
    assert runs == [[1]]


def test_of_two_payloads_that_are_sent_at_once_one_is_the_jobs(dev: Dev, shop: Any) -> None:
    ids, errors = send_together(dev, "contested", 402, 403)

    job = ucam_faas.get_job(shop.charge, "contested")
    receipt = job.result(SECONDS)
    assert ids == {"contested"}
    assert len(errors) == THREADS
    assert all("with another payload ('id' differs)" in error for error in errors)
    assert receipt.executions == 1
    assert not (dev.folder / f"order-{402 + 403 - receipt.order}").exists()


def test_an_id_that_failed_is_that_job_until_it_is_retried(shop: Any) -> None:
    first = shop.refuse.send(shop.Order(id=410), id="failed")
    assert first.wait(SECONDS) is State.FAILURE

    second = shop.refuse.send(shop.Order(id=410), id="failed")

    assert (second, second.status) == (first, State.FAILURE)
    assert second.retry() is State.PENDING
    assert second.wait(SECONDS) is State.FAILURE
    causes = [entry.cause for entry in first.history]
    assert causes == ["sent", "claimed", "failed", "retried", "claimed", "failed"]


def test_an_id_that_was_cancelled_is_that_job_until_it_is_deleted(shop: Any) -> None:
    order = shop.Order(id=411)
    first = shop.charge.send(order, id="cancelled", delay=timedelta(hours=1))
    first.cancel()

    second = shop.charge.send(order, id="cancelled")

    assert (second, second.status) == (first, State.CANCELLED)
    assert second.delete()
    assert shop.charge.send(order, id="cancelled").result(SECONDS).executions == 1


def test_an_id_is_a_new_job_after_the_retention(shop: Any) -> None:
    first = shop.charge.send(
        shop.Order(id=412), id="kept", delay=timedelta(hours=1), retention=timedelta(seconds=0.2)
    )
    first.cancel()

    def is_gone() -> bool:
        try:
            return not first.status
        except JobNotFoundError:
            return True

    wait_until(is_gone, "the sweep removes it", SECONDS)
    second = shop.charge.send(shop.Order(id=413), id="kept")

    assert second.result(SECONDS).order == 413
