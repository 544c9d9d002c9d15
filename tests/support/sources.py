"""Tasks modules on disk."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ucam_faas.tasks import registry


class Sources:
    """A directory to write tasks modules to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, *tasks: str, before: str = "") -> str:
        """Write a file with message handlers of these names, and return its path."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = ["import ucam_faas", before]
        for name in tasks:
            parts.append("@ucam_faas.message_handler(message_type=None)")
            parts.append(f"def {name}(data):\n    'Do {name}.'\n")
        file.write_text("\n".join(parts))
        importlib.invalidate_caches()
        return str(file)

    def path(self, name: str) -> str:
        """Return a path in the directory."""
        return str(self.root / name)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """Write sources, load them, and forget that they were loaded."""
    modules = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_TASKS", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Sources(tmp_path)
    for name in sys.modules.keys() - modules.keys():
        if name.partition(".")[0] != "ucam_faas":  # a second copy would differ from the first
            del sys.modules[name]
