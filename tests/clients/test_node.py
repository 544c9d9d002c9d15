"""Node's @google-cloud/pubsub unchanged: the cases are in `node/pubsub.test.js`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .endpoint import Endpoint, unavailable

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def node() -> str:
    """Return Node's path; package-lock.json's packages are in node_modules (git-ignored)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("node and npm are not both on PATH")
    lock = (FOLDER / "package-lock.json").read_text()
    installed = FOLDER / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock:
        command = [npm, "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
        if done.returncode:
            unavailable(f"npm cannot install: {done.stderr}")
        installed.write_text(lock)
    return node


def test_nodes_client_works(node: str, endpoint: Endpoint) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PUBSUB_EMULATOR_HOST": endpoint.host,
        "METADATA_SERVER_DETECTION": "none",  # no account is looked for
        "COMPLETE": "yes" if endpoint.is_ours else "no",
    }

    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", "pubsub.test.js"],
        cwd=FOLDER,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
