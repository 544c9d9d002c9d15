"""Trials of replays whose processes are killed at random moments."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.dev.cloud import PROJECT, Dev, environ_of
from tests.integration.processes import wait_until
from tests.trials.running import SECONDS, lines
from ucam_faas.clock import SystemClock
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.plans import RowState
from ucam_faas.dead_letters.workbench import Workbench

COUNT = int(os.environ.get("TRIALS_COUNT", "200"))
REPLAY = Path(__file__).with_name("killing_replay.py")
FORWARDED = {
    "CloudPubSubDeadLetterSourceSubscription": "refund",
    "CloudPubSubDeadLetterSourceDeliveryCount": "8",
}
"""Pub/Sub's attributes of a message whose processes were lost at each attempt."""
WATCH = "refund-inbox-watch"
MOST_SECONDS = 0.03
"""From the first letter that a run sends to its end by SIGKILL."""


def test_replays_that_are_killed_lose_nothing_and_repeat_only_what_they_were_sending(
    dev: Dev,
) -> None:
    numbers = list(map(str, range(COUNT)))
    _watch(dev)
    for number in numbers:
        dev.rest.publish("refund-dead-letters", number.encode(), **FORWARDED)
    assert _letters(dev) == COUNT
    made = dev.run("dlq", "plan", "--all", "--task", "refund", "--to", "inbox", "--json")
    plan = json.loads(made.stdout)["id"]
    bench = Workbench(Book(dev.folder / ".ucam-faas" / "dead-letters.sqlite3"), by="trial")

    may_repeat = Counter[str]()
    kills = 0
    while _is_killed(dev, bench, plan):
        kills += 1
        rows = bench.rows(plan, state=RowState.SENDING, limit=COUNT)
        may_repeat.update(row.replay_id for row in rows)
    wait_until(lambda: len(lines(dev, "refunds")) >= COUNT, "all have run", SECONDS)

    ids = Counter(id for id in _watched(dev, COUNT) if id)
    repeated = {id: times for id, times in ids.items() if times > 1}
    print(f"{kills} kills; {len(may_repeat)} rows were SENDING, {len(repeated)} came twice")
    assert ids.keys() == {row.replay_id for row in bench.rows(plan, limit=COUNT)}
    assert all(times <= 1 + may_repeat[id] for id, times in repeated.items())
    assert Counter(lines(dev, "refunds")) == Counter(numbers)
    assert _letters(dev) == 0
    assert kills > 5
    bench.close()


def _is_killed(dev: Dev, bench: Workbench, plan: str) -> bool:
    """Run a plan, kill the process at a random moment, and return False if it had ended before."""
    before = bench.plan_of(plan).counts
    command = [sys.executable, str(REPLAY), "dlq", "replay", "--plan", plan]
    with subprocess.Popen(command, cwd=dev.folder, env=environ_of(dev.folder)) as process:
        wait_until(
            lambda: process.poll() is not None or bench.plan_of(plan).counts != before,
            "it sends letters, or has ended",
            SECONDS,
        )
        SystemClock().sleep(random.uniform(0, MOST_SECONDS))
        process.kill()
    assert process.returncode in (0, -9), process.returncode
    return process.returncode != 0


def _watch(dev: Dev) -> None:
    """Keep all messages of the inbox, beside the subscription of the task."""
    topic, subscription = (
        f"projects/{PROJECT}/{kind}" for kind in ("topics/refund-inbox", f"subscriptions/{WATCH}")
    )
    body = {"topic": topic, "ackDeadlineSeconds": 600}
    assert dev.rest.call("PUT", subscription, body).status == 200


def _watched(dev: Dev, least: int) -> list[str]:
    """Return the replay ids of the inbox's messages; empty for wakes."""
    messages: list[dict[str, Any]] = []
    while some := dev.rest.pull(WATCH):
        messages += some
    assert len(messages) >= least
    return [message["attributes"].get("ucam_faas_replay_id", "") for message in messages]


def _letters(dev: Dev) -> int:
    groups = json.loads(dev.run("dlq", "list", "--task", "refund", "--json").stdout)
    return sum(group["letters"] for group in groups)
