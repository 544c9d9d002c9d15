"""Fixtures for the deployment tests: a project on disk, and the command line in it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ucam_faas import message_handler
from ucam_faas.cli import main
from ucam_faas.tasks import registry
from ucam_faas.tasks.payload_schemas import schema_of


class Project:
    """A directory with tasks and a configuration; the tests' working directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        """Write a file; the text may be indented."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
        importlib.invalidate_caches()
        return file

    def tasks(self, *names: str, path: str = "main.py", options: str = "") -> Path:
        """Write message handlers of these names, all with these options of the decorator."""
        parts = ["import ucam_faas\n"]
        for name in names:
            parts.append(
                f"@ucam_faas.message_handler(message_type=None{options and ', '}{options})"
            )
            parts.append(f"def {name}(data):\n    'Do {name}.'\n")
        return self.write(path, "\n".join(parts))

    def run(self, *arguments: str, **environ: str) -> Result:
        """Call `ucam-faas`."""
        return CliRunner().invoke(main, arguments, env=environ)

    def error(self, *arguments: str, **environ: str) -> str:
        """Call `ucam-faas`, which must fail with one line, and return it."""
        result = self.run(*arguments, **environ)
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.splitlines()
        assert line.startswith("ucam-faas: ")
        return line


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty project; its imports are undone afterwards."""
    modules = dict(sys.modules)
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(registry, "_TASKS", {})
    (tmp_path / ".git").mkdir()  # no configuration above it counts
    monkeypatch.chdir(tmp_path)
    yield Project(tmp_path)
    for name in sys.modules.keys() - modules.keys():
        if _is_in(tmp_path, sys.modules[name]):  # the classes of others must stay the same
            del sys.modules[name]


def _is_in(folder: Path, module: ModuleType) -> bool:
    places = [module.__dict__.get("__file__"), *module.__dict__.get("__path__", [])]
    return any(place is not None and Path(place).is_relative_to(folder) for place in places)


def payload_of(message_type: Any) -> dict[str, Any]:
    """Return the payload after a plan with it was written and read."""

    @message_handler(message_type=message_type)
    def work(payload: Any) -> None: ...

    schema = schema_of(work.task)
    read: dict[str, Any] = json.loads(json.dumps(schema, sort_keys=True))
    return read
