"""The environment in which terraform runs offline: a provider attached, and no registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from . import cache

ROOT = Path(__file__).parent.parent.parent
_TYPES = re.compile(r'^\s*(?:(data)|resource) "(google_\w+)"', re.M)
_ATTACHMENT = "TF_REATTACH_PROVIDERS"
_CLI_CONFIGURATION = """\
disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path = "%s"
  }
}
"""


def types_in(folder: Path) -> set[str]:
    """Return the types that a tree of Terraform files uses; those of data begin with `data.`."""
    return {
        f"data.{name}" if data else name
        for path in folder.rglob("*.tf")
        for data, name in _TYPES.findall(path.read_text())
    }


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that Terraform asked of the cloud, in the order in which the cloud did it."""

    action: str
    """create, update, delete, or forget for a deletion with the policy ABANDON."""
    type: str
    id: str
    changed: tuple[str, ...] = ()
    """The attributes that an update changed."""
    refused: str = ""
    """The error, if the cloud refused."""


@dataclass(frozen=True, slots=True)
class Attached(Mapping[str, str]):
    """The environment of a terraform that uses the stand-in, with one of its clouds."""

    variables: Mapping[str, str]
    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)

    def with_cloud(self, state: Path | None = None) -> Attached:
        """Return the same with a cloud of its own, in which the resources of a state exist."""
        log = self.folder / f"{uuid4()}.jsonl"
        attachment = _new_cloud(self.process, log, state)
        return replace(self, variables={**self.variables, _ATTACHMENT: attachment}, log=log)

    def operations(self) -> list[Operation]:
        """Return the cloud's operations, in their order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [
            Operation(**{**fields, "changed": tuple(fields.get("changed", ()))})
            for fields in map(json.loads, lines)
        ]


@contextmanager
def attached_environment(types: Iterable[str], folder: Path) -> Iterator[Attached]:
    """Run the stand-in for these types, and yield the environment of a terraform that uses it.

    Raises `cache.InstallError` when something cannot be installed. `folder` is for its files.
    """
    mirror = folder / "no-providers"
    mirror.mkdir()
    configuration = folder / "terraform.rc"
    configuration.write_text(_CLI_CONFIGURATION % mirror)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CHECKPOINT_DISABLE": "1",
        # Its many short runs spend a quarter of their time in collecting garbage.
        "GOGC": "400",
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }
    with _stand_in(cache.schema(types), cache.libraries()) as process:
        yield Attached(variables, process, folder, folder / "none").with_cloud()


@contextmanager
def _stand_in(schema: Path, libraries: Path) -> Iterator[subprocess.Popen[str]]:
    # -S: none of the libraries around this process, whose protobuf is another.
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "tests.terraform.stub", str(schema)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(libraries)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


def _new_cloud(process: subprocess.Popen[str], log: Path, state: Path | None) -> str:
    """Return the value of TF_REATTACH_PROVIDERS that leads to a new cloud."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"log": str(log), "state": state and str(state)}) + "\n")
    process.stdin.flush()
    attachment = process.stdout.readline()
    assert attachment, f"the stand-in has ended; is {cache.libraries()} whole? Remove it if not."
    return attachment
