"""A topic with an Avro schema, beside `ucam-faas dev`: JSON is written, and Avro is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path

import anyio.to_thread
import pytest

from tests.agents.agent import Agent, beside

from .cloud import running

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parents[2] / "docs/tasks.md").read_text()
(CODE, _) = re.findall(
    r"```python\n(.*?)```", GUIDE.partition("### Payloads in Avro\n")[2].partition("\n## ")[0], re.S
)
CONFIGURATION = """
[task.store]
topic_schema = { definition = "order.avsc", encoding = "BINARY" }
"""
SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}


def test_json_and_samples_are_sent_as_avro(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CODE)
    (tmp_path / "ucam-faas.toml").write_text(CONFIGURATION)
    (tmp_path / "order.avsc").write_text(json.dumps(SCHEMA))

    async def publish(agent: Agent) -> None:
        sample = await agent.call("publish", task="store")
        note = await agent.call("publish", task="store", payload={"id": "18", "note": "new"})
        refused = await agent.refused("publish", task="store", payload={"note": "new"})
        for published in (sample, note):
            id = published["message_id"]
            await anyio.to_thread.run_sync(dev.wait_shown, "done", f"message {id},")
        assert "id is missing" in refused

    with running(tmp_path) as dev:
        for arguments in (
            ("publish", "store", '{"id": "17"}', "--wait"),
            ("publish", "store", "--sample", "--wait"),
            ("send", "store", '{"id": "17", "note": {"string": "x"}}', "--wait"),
            ("send", "store", "--sample", "--wait"),
        ):
            result = dev.run(*arguments)
            assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        dry = dev.run("publish", "store", '{"id": "17"}', "--dry-run")
        assert """Data: '{"id": "17", "note": null}'""" in dry.stdout
        (tmp_path / "order.bin").write_bytes(b"\x0417\x00")
        assert dev.run("publish", "store", "--file", "order.bin", "--wait").returncode == 0
        beside(tmp_path, publish, "--allow-writes")
