"""The environment in which terraform runs offline: a provider attached, and no registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import cache

ROOT = Path(__file__).parent.parent.parent
_TYPES = re.compile(r'^\s*(?:(data)|resource) "(google_\w+)"', re.M)
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


@contextmanager
def attached_environment(types: Iterable[str], folder: Path) -> Iterator[dict[str, str]]:
    """Run the stand-in for these types, and yield the environment of a terraform that uses it.

    Raises `cache.InstallError` when something cannot be installed. `folder` is for its files.
    """
    mirror = folder / "no-providers"
    mirror.mkdir()
    configuration = folder / "terraform.rc"
    configuration.write_text(_CLI_CONFIGURATION % mirror)
    with _stand_in(cache.schema(types), cache.libraries()) as attachment:
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CHECKPOINT_DISABLE": "1",
            # Its many short runs spend a quarter of their time in collecting garbage.
            "GOGC": "400",
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_REATTACH_PROVIDERS": attachment,
        }


@contextmanager
def _stand_in(schema: Path, libraries: Path) -> Iterator[str]:
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
        assert process.stdout is not None
        attachment = process.stdout.readline()
        assert attachment, f"the stand-in did not start; is {libraries} whole? Remove it if not."
        try:
            yield attachment
        finally:
            process.stdin.close()
