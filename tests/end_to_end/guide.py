"""The commands of docs/deploy.md, and a copy of this repository to run them in."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from tests.clients.gcloud import Gcloud
from tests.container.engine import NAME, ROOT

DOCUMENT = ROOT / "docs/deploy.md"
OPERATIONS = ROOT / "docs/operations.md"
IMAGE = f"{NAME}-guide:latest"
"""For the image's name in the guide, which two runs of these tests would share."""
LOCAL = ("docker build ", "mkdir ", "sed ", "(cd ", "terraform ")
"""The beginnings of the commands that need nothing of Google's."""
REMOVAL = "terraform -chdir=deploy destroy"
_SECONDS = 600


def commands(beginning: str | tuple[str, ...] = "", document: Path = DOCUMENT) -> list[str]:
    """Return the guide's commands, or those with a beginning, each on one line."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [" ".join(line.split()) for line in lines if line]
    return [line for line in commands if line.startswith(beginning)]


def variables() -> dict[str, str]:
    """Return the variables that the guide sets."""
    variables: dict[str, str] = {}
    for line in commands():
        name, equals, text = line.partition("=")
        if equals and name.isupper():
            variables[name] = Template(text).substitute(variables)
    return variables | {"IMAGE": IMAGE}


def filled_in(command: str) -> str:
    """Return a command with the values of the variables."""
    return Template(command).substitute(variables())


def run(gcloud: Gcloud, command: str) -> Any:
    """Run a gcloud command, and return what it answers."""
    program, *words = shlex.split(filled_in(command))
    assert program == "gcloud"
    return gcloud.run("", *words)


@dataclass(frozen=True, slots=True)
class Repository:
    """A copy of this repository."""

    folder: Path
    environment: Mapping[str, str]
    """Of the commands; terraform finds the stand-ins for Google."""

    def run(self, command: str) -> None:
        """Run a command in it, which must succeed."""
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
