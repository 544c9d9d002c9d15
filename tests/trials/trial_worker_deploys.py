"""A trial of a hundred deploys in a row of a worker under load."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import wait_until
from tests.trials.running import SECONDS
from tests.trials.workers import Trial, trial

DEPLOYS, PAUSE_SECONDS, LONGEST_SECONDS = 100, 0.05, 0.8
GRACE = ("--graceful-shutdown-time", "0.3")
"""Shorter than the longest messages."""


@contextmanager
def load(here: Trial) -> Iterator[list[str]]:
    """Send a message now and then; their ids are in the list."""
    sent, stopping = list[str](), threading.Event()

    def send() -> None:
        while not stopping.wait(PAUSE_SECONDS):
            id = str(len(sent))
            here.send([{"id": id, "seconds": LONGEST_SECONDS * random.random()}])
            sent.append(id)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        stopping.set()
        sender.join()


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_a_hundred_deploys_lose_nothing(tmp_path: Path, jobs: str, has_store: bool) -> None:
    """Each worker pulls before the last one is told to end, as in the cloud."""
    with (
        trial(tmp_path, jobs if has_store else None, "deliver") as here,
        ExitStack() as ends,
    ):
        last = here.start("0", *GRACE)
        ends.callback(last.kill)
        last.wait_until_it_pulls()
        with load(here) as sent:
            for deploy in range(1, DEPLOYS + 1):
                worker = here.start(str(deploy), *GRACE)
                ends.callback(worker.kill)
                worker.wait_until_it_pulls()
                last.signal(signal.SIGTERM)
                assert last.wait() == 0
                last = worker
        count = len(sent)
        wait_until(lambda: len(here.runs("ended")) == count, "all have run", SECONDS)
        wait_until(here.is_quiet, "nothing runs", SECONDS)
        here.check_ends(count)
        began, ended = here.runs(), here.runs("ended")

    more, most = began.total() - count, max(began.values()) - 1
    print(f"{count} messages, {more} interrupted runs, {most} of one message at most")
    print(f"{ended.total() - count} second ends")
    assert more > 0
    if has_store:
        assert ended.total() == count
