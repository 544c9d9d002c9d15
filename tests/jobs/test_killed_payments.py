"""`kill -9` at each step of a transaction: nothing has happened, or all of it once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOTHING = {"orders": 0, "payments": 0, "paid": None, "jobs": None}
PAID = {
    "orders": 1,
    "payments": 1,
    "paid": 1999,
    "jobs": "take_payment SUCCESS,send_receipt SUCCESS",
}


def killed_at_each_step(folder: Path, instructions: int) -> list[dict[str, Any]]:
    """Return the states of the database, one for each step at which a process was killed."""
    script = Path(__file__).with_name("killed_payments.py")
    result = subprocess.run(
        [sys.executable, str(script), str(folder), str(instructions)],
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["code"] == 0, result.stderr
    assert all(line["recovered"] == 0 for line in lines), result.stderr
    return lines


def check(line: dict[str, Any]) -> None:
    """Check the database after a kill, and after the rest was done."""
    after, end = line["after"], line["end"]
    has_job = after["jobs"] is not None
    assert after["orders"] == has_job, line
    assert (after["payments"] == 1) == (after["paid"] == 1999), line
    assert (after["payments"] == 1) == (has_job and "send_receipt" in after["jobs"]), line
    assert end == (PAID if has_job else NOTHING), line


def test_a_payment_is_taken_once_or_was_never_ordered(tmp_path: Path) -> None:
    lines = killed_at_each_step(tmp_path, instructions=0)

    for line in lines:
        check(line)
    states = [json.dumps(line["after"]) for line in lines]
    assert len(set(states)) >= 6  # nothing, ordered, claimed, paid, the receipt's job
    assert len(lines) > 40
