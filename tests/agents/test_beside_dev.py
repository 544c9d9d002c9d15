"""`ucam-faas mcp` beside `ucam-faas dev`, as an agent's program starts it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.agents.agent import Agent, beside
from tests.dev.cloud import Dev, environ_of, running
from tests.integration.processes import HANG_SECONDS, UCAM_FAAS

pytestmark = pytest.mark.slow

BROKEN = """
from pydantic import BaseModel

import ucam_faas
from ucam_faas import RetryPolicy

print("imported", flush=True)
PRICES = {"tea": 3}


class Order(BaseModel):
    number: int
    item: str = "tea"


@ucam_faas.message_handler(retry=RetryPolicy(max_attempts=1))
def charge(order: Order) -> int:
    print("charging")
    return PRICES[order.item] * 100
"""
FIXED = BROKEN.replace('{"tea": 3}', '{"tea": 3, "scone": 4}')


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("dev")
    (folder / "main.py").write_text(BROKEN)
    with running(folder) as dev:
        yield dev


def test_an_agent_finds_a_failure_and_a_replay_of_it_succeeds(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(BROKEN)

    async def find(agent: Agent) -> None:
        (task,) = (await agent.call("list_tasks"))["tasks"]
        assert (task["name"], task["topic"]) == ("charge", "charge")
        shown = await agent.call("show_task", task="charge")
        assert shown["payload_schema"]["schema"]["required"] == ["number"]
        checked = await agent.refused("check_payload", task="charge", payload={"number": "x"})
        assert "number: Input should be a valid integer" in checked

        done = await agent.call("publish", task="charge")  # a sample
        assert done["readers"][0]["state"] == "done", done
        failed = await agent.call("publish", task="charge", payload={"number": 2, "item": "scone"})
        id = failed["message_id"]
        explained = await agent.call("explain_message", message_id=id)
        (attempt,) = explained["attempts"]
        assert attempt["reason"] == "KeyError: 'scone'"
        assert "in charge\n    return PRICES[order.item]" in attempt["log_lines"][-1]["traceback"]
        assert json.loads(explained["payload"]["text"]) == {"number": 2, "item": "scone"}
        listed = await agent.call("list_messages", task="charge", state="dead_lettered")
        assert [row["id"] for row in listed["messages"]] == [id]

        letters = await agent.call("list_dead_letters")
        (letter,) = letters["letters"]
        assert explained["dead_letters"] == [letter["id"]]
        assert letters["causes"][0]["error"] == "KeyError at main.charge"
        plan = await agent.call("plan_replay", cause=letter["fingerprint"])
        assert (plan["letters"], plan["counts"]) == (1, {"PLANNED": 1})
        assert (await agent.call("list_dead_letters"))["count"] == 1

        (tmp_path / "main.py").write_text(FIXED)
        await anyio.to_thread.run_sync(dev.wait_shown, "reload", "serving it")
        ran = await agent.call("run_plan", plan=plan["id"], wait_seconds=60)
        assert (ran["counts"], ran["last_problem"]) == ({"ACKED": 1}, "")
        replay = ran["rows"][0]["message_id"]
        await anyio.to_thread.run_sync(dev.wait_shown, "done", f"message {replay},")
        replayed = await agent.call("show_dead_letter", id=letter["id"])
        assert (replayed["state"], replayed["journal"][0]["what"]) == ("replayed", "replayed")
        assert replayed["by"].endswith(", through MCP")

        job = await agent.call("send_job", task="charge", id="order-4", payload={"number": 4})
        assert (job["id"], job["was_there"]) == ("order-4", False)
        await anyio.to_thread.run_sync(dev.wait_shown, "done", "order-4")
        again = await agent.call("send_job", task="charge", id="order-4", payload={"number": 4})
        assert again["was_there"]
        kept = await agent.call("show_job", id="order-4")
        assert json.loads(kept["payload"]["text"]) == {"number": 4}

    with running(tmp_path) as dev:
        beside(tmp_path, find, "--allow-writes")


def test_dev_may_start_after_the_agent_and_end_before_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(BROKEN)

    async def come_and_go(agent: Agent) -> None:
        assert f"No `ucam-faas dev` serves tasks in {tmp_path}" in await agent.refused("list_tasks")
        with running(tmp_path) as dev:
            assert (await agent.call("list_tasks"))["tasks"][0]["name"] == "charge"
            failed = await agent.call("publish", task="charge", payload={"number": 2, "item": "x"})
            await agent.call("list_dead_letters")
            dev.signal(signal.SIGKILL)
            await anyio.to_thread.run_sync(dev.wait)

            for tool, arguments in {
                "publish": {"task": "charge"},
                "send_job": {"task": "charge"},
                "list_jobs": {},
                "list_schedules": {},
            }.items():
                assert "No `ucam-faas dev` serves tasks" in await agent.refused(tool, **arguments)
            explained = await agent.call("explain_message", message_id=failed["message_id"])
        assert explained["readers"][0]["state"] == "dead_lettered"
        assert "so this is the history of the last one" in explained["notice"]
        assert (await agent.call("list_dead_letters"))["count"] == 1
        await agent.refused("plan_replay", task="charge")

    beside(tmp_path, come_and_go, "--allow-writes")


def test_without_allow_writes_nothing_is_sent(dev: Dev) -> None:

    async def attack(agent: Agent) -> list[str]:
        offered = await agent.tools()
        assert {name for name, tool in offered.items() if not _is_harmless(tool)} == set()
        writes: dict[str, dict[str, Any]] = {
            "publish": {"task": "charge"},
            "send_job": {"task": "charge"},
            "run_plan": {"plan": (await agent.call("plan_replay", task="charge"))["id"]},
            "act_on_job": {"id": "x", "action": "retry"},
            "run_schedule": {"name": "charge"},
        }
        assert offered.keys() & writes.keys() == set()
        return [await agent.refused(name, **arguments) for name, arguments in writes.items()]

    dev.rest.publish("charge", b'{"number": 1, "item": "x"}')
    dev.wait_shown("dead")
    before = len(dev.shown("published"))

    answers = beside(dev.folder, attack)

    assert all("this server is read-only" in answer for answer in answers)
    assert len(dev.shown("published")) == before


def _is_harmless(tool: Any) -> bool:
    """A plan is kept; nothing else is written."""
    hints = tool.annotations
    return bool(hints.read_only_hint) or (tool.name == "plan_replay" and not hints.destructive_hint)


def test_stdout_carries_the_protocol_and_nothing_else(dev: Dev, tmp_path: Path) -> None:
    """The task's code prints when it is imported to check a payload."""
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {},
                  "clientInfo": {"name": "agent", "version": "1"}}  # fmt: skip
    check = {"name": "check_payload", "arguments": {"task": "charge", "payload": {"number": 1}}}
    requests = [
        {"id": 1, "method": "initialize", "params": initialize},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": check},
    ]
    with (
        (tmp_path / "stderr").open("wb") as stderr,
        subprocess.Popen(
            [UCAM_FAAS, "mcp"], cwd=dev.folder, env=environ_of(tmp_path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"this is no JSON\n")
        for request in requests:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **request}).encode() + b"\n")
            process.stdin.flush()
        answers: dict[int | None, Any] = {}
        while 2 not in answers:
            answer = json.loads(process.stdout.readline())
            answers[answer.get("id")] = answer
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(HANG_SECONDS) == 0

    assert rest == b""
    assert answers[2]["result"]["structuredContent"]["accepted"]
    assert b"imported" in (tmp_path / "stderr").read_bytes()
