"""The Pub/Sub behind Google's clients: ours, Google's emulator, or one that runs already.

`CLIENTS_AGAINST=ours` (the default), `google`, or `HOST:PORT`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.emulator import running_emulator
from tests.integration.processes import Process, environment, wait_until

CHOICE = os.environ.get("CLIENTS_AGAINST", "ours")
READY = re.compile(r"^ucam-faas emulator ready on (127\.0\.0\.1:\d+)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Endpoint:
    """Where a Pub/Sub serves gRPC and REST."""

    host: str
    """`127.0.0.1:PORT`."""
    is_ours: bool
    """Whether it has what Google's emulator lacks: IAM, detaching, Cloud Scheduler, limits."""

    @property
    def url(self) -> str:
        """The root of its REST API."""
        return f"http://{self.host}"


@contextmanager
def running_endpoint(folder: Path) -> Iterator[Endpoint]:
    """Run the chosen emulator."""
    if CHOICE == "ours":
        with running_ours(folder, "--memory") as host:
            yield Endpoint(host, is_ours=True)
    elif CHOICE == "google":
        with running_emulator(folder) as emulator:
            yield Endpoint(emulator.host, is_ours=False)
    else:
        yield Endpoint(CHOICE, is_ours=True)


@contextmanager
def running_ours(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """Run our emulator, and yield its host and port; kill it at the end."""
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--host", "127.0.0.1"]
    process = Process([*command, "--port", str(port), *options], folder, environment(folder))

    def ready() -> re.Match[str] | None:
        assert process.popen.poll() is None, f"It ended at its start: {process.output}"
        return READY.search(process.stdout)

    try:
        match = wait_until(ready, "our emulator is ready", 30)
        assert match
        yield match.group(1)
    finally:
        process.kill()


def unavailable(reason: str) -> NoReturn:
    """Skip a test whose client is not installed; in CI all of them have to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
