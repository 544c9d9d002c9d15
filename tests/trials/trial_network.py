"""Trials of a worker whose connection to Pub/Sub is lost for a minute, under load."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import wait_until
from tests.trials.network import Network, network
from tests.trials.running import SECONDS
from tests.trials.workers import trial

LOST_SECONDS = 60
SHORT, LONG = 300, 4
"""Messages that take half a second, and those that take longer than two leases."""


def orders(prefix: str, count: int, seconds: float) -> list[dict[str, Any]]:
    return [{"id": f"{prefix}-{number}", "seconds": seconds} for number in range(count)]


def seconds_until(find: Callable[[], Any], what: str) -> float:
    started = time.monotonic()
    wait_until(find, what, SECONDS)
    return time.monotonic() - started


@pytest.mark.parametrize("lose", [Network.cut, Network.silence], ids=["cut", "silent"])
@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_the_connection_is_lost_for_a_minute(
    tmp_path: Path, jobs: str, lose: Callable[[Network], None], has_store: bool
) -> None:
    with (
        trial(tmp_path, jobs if has_store else None, "deliver") as here,
        network(here.cloud.port) as lines,
        here.worker("behind-it", host=lines.host) as behind,
    ):
        here.send(orders("long", LONG, 25))
        wait_until(lambda: len(here.runs()) == LONG, "they run")
        with here.worker("beside-it") as beside:
            here.send(orders("short", SHORT, 0.5))
            wait_until(lambda: len(here.runs("ended")) > 20, "some have run", SECONDS)
            lose(lines)
            time.sleep(LOST_SECONDS)
            during = here.runs("ended")
            beside.signal(signal.SIGTERM)
            assert beside.wait() == 0
        here.send(orders("later", SHORT, 0.5))
        lines.restore()
        again = seconds_until(lambda: here.runs()["later-0"], "the worker pulls again")
        count = LONG + 2 * SHORT
        wait_until(lambda: len(here.runs("ended")) == count, "all have run", SECONDS)
        wait_until(here.is_quiet, "nothing runs", SECONDS)
        runs = here.runs()
        here.check_ends(count)

    print(f"pulled again after {again:.1f} s; {sum(runs.values()) - count} second runs")
    assert behind.log("ucam_faas_heartbeat_ended") == []
    assert len(during) == LONG + SHORT, "the other worker ran them, and no end was held up"
    assert max(runs.values()) <= 2
    if has_store:
        assert max(runs.values()) == 1
