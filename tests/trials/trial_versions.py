"""Jobs that wait under `ucam-faas dev` while its code changes, or while it is killed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dev.cloud import Dev, running
from tests.integration.processes import wait_until
from tests.trials.running import SECONDS, lines, script

HEAD = """
import os
from datetime import timedelta
from pathlib import Path
import pydantic
import ucam_faas

class Order(pydantic.BaseModel):
    id: int
{field}

def note(file, text):
    with Path(file).open("a") as lines:
        lines.write(f"{text}\\n")
"""
CHARGE = """
@ucam_faas.message_handler
def charge(order: Order) -> str:
    note("charges", order.id)
    return "the first version"
"""
RENAMED = """
@ucam_faas.message_handler(name="charge")
def charge_account(order: dict[str, int]) -> str:
    note("charges", order["id"])
    return "the second version"
"""
REFUND = """
@ucam_faas.message_handler
def refund(order: Order) -> None:
    note("refunds", order.id)
"""
LATER = """
@ucam_faas.message_handler
def later(order: dict[str, int]) -> str:
    note("laters", order["id"])
    return "again"
"""
FAMILY = """
@ucam_faas.message_handler(timeout=timedelta(seconds=1))
def parent(order: Order) -> list:
    note("parents", order.id)
    first = len(Path("parents").read_text().split()) == 1
    ids = []
    for number in (1, 2, 2):
        if first and len(ids) == 2:
            os.kill(os.getpid(), 9)
        ids.append(charge.send(Order(id=number)).id)
    return ids
"""


def save(folder: Path, *parts: str, field: str = "") -> None:
    """Write the code as editors do: another file takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / ".main.py.new"
    beside.write_text("".join([HEAD.replace("{field}", field), *parts]))
    beside.replace(folder / "main.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dev"


def show(dev: Dev, task: str, id: str) -> dict[str, Any]:
    """Return a job as `ucam-faas jobs show` does."""
    process = dev.run("jobs", "show", id, "--task", task, "--json")
    assert process.returncode == 0, process.stderr
    job: dict[str, Any] = json.loads(process.stdout)
    return job


def ended(dev: Dev, task: str, id: str) -> dict[str, Any]:
    """Return a job when it has ended."""

    def find() -> dict[str, Any] | None:
        job = show(dev, task, id)
        return job if job["state"] not in ("PENDING", "STARTED") else None

    job: dict[str, Any] = wait_until(find, f"{task} {id} has ended", SECONDS)
    return job


def causes(job: dict[str, Any]) -> list[str]:
    return [entry["cause"] for entry in job["history"]]


def test_jobs_wait_for_a_version_that_has_their_task(folder: Path) -> None:
    save(folder, CHARGE, REFUND, LATER)
    with running(folder) as dev:
        code = "for task in main.charge, main.refund, main.later:\n"
        code += "    task.send({'id': 1}, id='1', delay=main.timedelta(seconds=10))"
        assert script(dev, code) == 0

        save(folder, RENAMED, REFUND, field="    account: str")
        charge, refund = ended(dev, "charge", "1"), ended(dev, "refund", "1")
        waiting = show(dev, "later", "1")
        save(folder, LATER)
        later = ended(dev, "later", "1")

        assert (charge["state"], causes(charge)) == ("SUCCESS", ["sent", "claimed", "finished"])
        assert (refund["state"], causes(refund)) == ("FAILURE", ["sent", "claimed", "failed"])
        assert "account" in json.dumps(refund["error"])
        assert causes(waiting) == ["sent"]
        assert (later["state"], causes(later)) == ("SUCCESS", ["sent", "claimed", "finished"])
        assert [lines(dev, file) for file in ("charges", "refunds", "laters")] == [["1"], [], ["1"]]


def test_a_delay_that_ends_while_dev_is_down_is_over_at_its_start(folder: Path) -> None:
    save(folder, CHARGE)
    with running(folder) as dev:
        delay = "delay=main.timedelta(seconds={})"
        for id, seconds in (("1", 3), ("2", 20)):
            code = f"main.charge.send(main.Order(id={id}), id='{id}', {delay.format(seconds)})"
            assert script(dev, code) == 0
        first = show(dev, "charge", "1")
        dev.kill()
    due = datetime.fromisoformat(first["due"])

    wait_until(lambda: datetime.now(UTC) > due, "its time comes, with no process that looks")
    with running(folder) as dev:
        ends = [ended(dev, "charge", id) for id in ("1", "2")]

        assert [causes(job) for job in ends] == [["sent", "claimed", "finished"]] * 2
        assert lines(dev, "charges") == ["1", "2"]
        for job, seconds in zip(ends, (3, 20), strict=True):
            sent, claimed, _ = (datetime.fromisoformat(entry["time"]) for entry in job["history"])
            assert claimed >= sent + timedelta(seconds=seconds)


def test_a_parent_killed_between_its_sends_has_three_children(folder: Path) -> None:
    save(folder, CHARGE, FAMILY)
    with running(folder) as dev:
        assert script(dev, "main.parent.send(main.Order(id=7), id='7')") == 0

        parent = ended(dev, "parent", "7")
        wait_until(lambda: len(lines(dev, "charges")) >= 3, "its children have run", SECONDS)
        children = json.loads(dev.run("jobs", "list", "--task", "charge", "--json").stdout)

        assert causes(parent) == ["sent", "claimed", "claimed after a lost process", "finished"]
        assert len(children) == 3
        assert sorted(lines(dev, "charges")) == ["1", "2", "2"]
        assert lines(dev, "parents") == ["7", "7"]
