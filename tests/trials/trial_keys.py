"""Trials of an ordering key whose first message fails: its others wait, other keys go on."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import wait_until
from tests.trials.running import SECONDS
from tests.trials.workers import Trial, trial

BEHIND, KEYS, EACH, TAKES_SECONDS = 300, 20, 10, 0.02


def stuck_first() -> list[dict[str, Any]]:
    """Return a message that fails, 300 behind it, and then ten of each of twenty other keys."""
    first = {"id": "stuck-0", "key": "stuck", "fault": "raise"}
    behind = [{"id": f"stuck-{number}", "key": "stuck"} for number in range(1, BEHIND + 1)]
    others = [
        {"id": f"{key}-{number}", "key": str(key), "seconds": TAKES_SECONDS}
        for number in range(EACH)
        for key in range(KEYS)
    ]
    return [first, *behind, *others]


def ends_of(here: Trial, key: str) -> list[int]:
    """Return the numbers of the messages of a key whose runs have ended, in order."""
    ids = [note["id"].split("-") for note in here.notes("ended")]
    return [int(number) for its, number in ids if its == key]


def others_end(here: Trial) -> float:
    """Return the seconds that the other keys take; their messages end in order."""
    started = time.monotonic()

    def done() -> bool:
        return all(len(ends_of(here, str(key))) == EACH for key in range(KEYS))

    wait_until(done, "the other keys are done", SECONDS)
    for key in range(KEYS):
        assert ends_of(here, str(key)) == list(range(EACH))
    return time.monotonic() - started


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_a_key_waits_for_its_first_message_and_other_keys_go_on(
    tmp_path: Path, jobs: str, has_store: bool
) -> None:
    with trial(tmp_path, jobs if has_store else None, "unlimited") as here, here.worker("worker"):
        here.send(stuck_first())
        seconds = others_end(here)
        runs = here.runs()
        during = ends_of(here, "stuck")
        (tmp_path / "runs.repaired").touch()
        wait_until(lambda: len(ends_of(here, "stuck")) == BEHIND + 1, "it goes on", SECONDS)
        after = ends_of(here, "stuck")

    print(f"{KEYS * EACH} others: {seconds:.1f} s, and {runs['stuck-0']} runs of the failing one")
    assert during == []
    assert not [id for id in runs if id.startswith("stuck") and id != "stuck-0"]
    assert after == list(range(BEHIND + 1))


def test_a_key_goes_on_when_its_first_message_is_a_dead_letter(tmp_path: Path) -> None:
    with trial(tmp_path, None, "limited") as here, here.worker("worker"):
        here.send(stuck_first())
        others_end(here)
        during = here.runs()["stuck-0"]
        wait_until(lambda: len(ends_of(here, "stuck")) == BEHIND, "it goes on", SECONDS)
        (letter,) = wait_until(here.dead_letters, "it is there")

    print(f"{during} of 5 runs of the failing one until the others had ended")
    assert json.loads(base64.b64decode(letter["data"]))["id"] == "stuck-0"
    assert here.runs()["stuck-0"] == 5
    assert ends_of(here, "stuck") == list(range(1, BEHIND + 1))


def test_a_key_goes_on_when_its_first_job_has_failed(tmp_path: Path, jobs: str) -> None:
    with trial(tmp_path, jobs, "limited") as here, here.worker("worker"):
        here.send(stuck_first())
        others_end(here)
        wait_until(lambda: len(ends_of(here, "stuck")) == BEHIND, "it goes on", SECONDS)
        (failed,) = (row for row in here.rows(1000) if row.key.id == "stuck-0")

    assert (failed.state.value, failed.attempts, here.runs()["stuck-0"]) == ("FAILURE", 5, 5)
    assert ends_of(here, "stuck") == list(range(1, BEHIND + 1))
