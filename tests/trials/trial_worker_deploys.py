"""A trial of a hundred deploys in a row of a worker under load."""

from __future__ import annotations

import random
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import wait_until
from tests.trials.running import SECONDS
from tests.trials.workers import trial

DEPLOYS, EACH = 100, 30
GRACE = ("--graceful-shutdown-time", "0.3")


def orders(deploy: int) -> list[dict[str, Any]]:
    """Return orders that take up to a second: longer than the grace, shorter than a deploy."""
    return [{"id": f"{deploy}-{number}", "seconds": random.random()} for number in range(EACH)]


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_a_hundred_deploys_lose_nothing(tmp_path: Path, jobs: str, has_store: bool) -> None:
    """Each worker pulls before the last one is told to end, as in the cloud."""
    count = DEPLOYS * EACH
    with (
        trial(tmp_path, jobs if has_store else None, "deliver") as here,
        ExitStack() as ends,
    ):
        last = here.start("0", *GRACE)
        ends.callback(last.kill)
        for deploy in range(1, DEPLOYS + 1):
            worker = here.start(str(deploy), *GRACE)
            ends.callback(worker.kill)
            worker.wait_until_it_pulls()
            here.send(orders(deploy))
            last.signal(signal.SIGTERM)
            assert last.wait() == 0
            last = worker
        wait_until(lambda: len(here.runs("ended")) == count, "all have run", SECONDS)
        wait_until(here.is_quiet, "nothing runs", SECONDS)
        here.check_ends(count)
        began, ended = here.runs(), here.runs("ended")

    print(
        f"{began.total() - count} runs were interrupted, {max(began.values()) - 1} of one at most"
    )
    print(f"{ended.total() - count} ended twice")
    assert began.total() > count
    if has_store:
        assert max(ended.values()) == 1
