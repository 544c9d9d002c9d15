"""Node's @google-cloud/pubsub unchanged: the cases are in `node/pubsub.test.js`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import npm

from .endpoint import Endpoint, unavailable

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def node() -> str:
    """Return Node's path, once its client is installed."""
    if problem := npm.install(FOLDER):
        unavailable(problem)
    node = shutil.which("node")
    assert node is not None
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
