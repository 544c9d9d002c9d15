"""The script of docs/worker.md runs, and prints the comment beside its last line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import environment, request, wait_until

from .processes import PROJECT, pubsub

GUIDE = Path(__file__).parents[2] / "docs/worker.md"


@pytest.mark.slow
def test_the_script_of_the_guide(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (expected,) = re.findall(r"print\(.*\)  # (.*)", code)
    (tmp_path / "films.py").write_text(code)

    with pubsub(tmp_path / "pubsub") as cloud:
        environ = {"PUBSUB_EMULATOR_HOST": cloud.host, "GOOGLE_CLOUD_PROJECT": PROJECT}
        script = subprocess.Popen(
            [sys.executable, "films.py"],
            cwd=tmp_path,
            env=environment(tmp_path, **environ),
            stdout=subprocess.PIPE,
            text=True,
        )

        path = f"/v1/projects/{PROJECT}/subscriptions/render"
        wait_until(lambda: request(cloud.port, "GET", path).status == 200, "it is declared")
        cloud.publish("render", title="Brazil")
        output, _ = script.communicate(timeout=60)

    assert (script.returncode, output.strip()) == (0, expected)
