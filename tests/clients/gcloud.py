"""gcloud as a user runs it: `run` is one command, `together` several that do not wait."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.integration.emulator import PROJECT

from .endpoint import Endpoint, unavailable


class GcloudError(Exception):
    """It ended with an error; the text is its standard error."""


class Gcloud:
    """gcloud with its environment for an endpoint; it takes one or two seconds a command."""

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        path = shutil.which("gcloud")
        if path is None:
            unavailable("gcloud is not on PATH")
        self._path = path
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_AUTH_ACCESS_TOKEN": "fake",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"{endpoint.url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDSCHEDULER": f"{endpoint.url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": f"{endpoint.url}/",
        }

    def run(self, command: str, *arguments: str) -> Any:
        """Run `gcloud COMMAND ARGUMENTS`, and return its output; the command is split."""
        done = subprocess.run(
            [self._path, *command.split(), *arguments, "--format=json"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise GcloudError(done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def together(self, *commands: tuple[str, ...]) -> list[Any]:
        """Run commands that do not depend on each other."""
        with ThreadPoolExecutor(max_workers=3) as threads:
            return list(threads.map(lambda command: self.run(*command), commands))
