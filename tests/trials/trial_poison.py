"""Trials of ten thousand good messages and five poisonous ones: only these fail."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from tests.integration.processes import wait_until
from tests.trials.running import SECONDS
from tests.trials.workers import trial
from ucam_faas.jobs.states import State

COUNT = int(os.environ.get("TRIALS_COUNT", "10000"))
ATTEMPTS = 8
HELD = 150
"""Messages that one worker holds at most."""
FAULTS = ["abort", "raise", "hang", "hang for good", "undecodable"]


def orders() -> list[dict[str, Any]]:
    """Return the orders, with the poisonous ones among them; their ids are their faults."""
    orders: list[dict[str, Any]] = [{"id": str(number)} for number in range(COUNT)]
    for number, fault in enumerate(FAULTS, 1):
        poison: dict[str, Any] = {"id": fault, "fault": fault}
        if fault == "undecodable":
            poison["text"] = fault
        orders.insert(number * COUNT // (len(FAULTS) + 1), poison)
    return orders


def test_with_a_store_only_the_poison_fails(tmp_path: Path, jobs: str) -> None:
    with trial(tmp_path, jobs) as here:
        here.send(orders())
        with here.supervised() as exits:
            here.wait(COUNT + len(FAULTS))
        rows = {row.key.id: row for row in here.rows(COUNT + len(FAULTS))}
        runs, ends = here.runs(), here.runs("ended")

    bad = {fault: rows.pop(fault) for fault in FAULTS}
    print(f"exit codes: {exits}; runs of the poison: {[runs[fault] for fault in FAULTS]}")
    assert {fault: row.state for fault, row in bad.items()} == dict.fromkeys(FAULTS, State.FAILURE)
    assert max(row.attempts for row in bad.values()) == bad["abort"].attempts == ATTEMPTS
    assert Counter(row.state for row in rows.values()) == {State.SUCCESS: COUNT}
    assert max(row.attempts for row in rows.values()) <= 2
    assert set(rows) <= set(ends)


def test_without_a_store_nothing_is_lost(tmp_path: Path) -> None:
    """Pub/Sub counts an attempt of each message that a dying worker holds."""
    letters, ends, left = without_a_store(tmp_path, "charge")

    good = letters - set(FAULTS)
    print(
        f"{len(good)} good messages became dead letters, {len(good - set(ends))} before their end"
    )
    assert letters >= set(FAULTS)
    assert len(good) <= HELD
    assert left == []


def test_without_a_store_only_the_poison_fails_in_processes(tmp_path: Path) -> None:
    letters, ends, left = without_a_store(tmp_path, "isolated")

    assert letters == set(FAULTS)
    assert len(ends) == COUNT
    assert left == []


def without_a_store(folder: Path, task: str) -> tuple[set[str], Counter[str], list[Any]]:
    """Return the ids of the dead letters, those that ended, and the messages that are left."""
    letters = set[str]()
    with trial(folder, None, task) as here:
        here.send(orders())

        def is_done() -> bool:
            for letter in here.dead_letters():
                data = base64.b64decode(letter["data"]).decode()
                letters.add(data if data in FAULTS else json.loads(data)["id"])
            done = {*letters, *here.runs("ended")}
            return len(done) == COUNT + len(FAULTS) and here.is_quiet()

        with here.supervised() as exits:
            wait_until(is_done, "the good ones have run, and the poison is dead", SECONDS)
            is_done()
        begun, runs, left = here.notes("began"), here.runs(), here.cloud.pull(task)
        ends = here.runs("ended")

    print(f"exit codes: {exits}; runs of the poison: {[runs[fault] for fault in FAULTS]}")
    assert max(note["attempt"] for note in begun) <= ATTEMPTS
    return letters, ends, left
