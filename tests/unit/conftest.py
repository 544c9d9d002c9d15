"""Fixtures of the tests of the core: the log, sources on disk, a runtime with a topic."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog

from ucam_faas.config import Settings
from ucam_faas.logs import setup
from ucam_faas.tasks import registry


class Log:
    """What is written to the log, from `configure` on."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, **options: Any) -> None:
        """Log to here; options are settings."""
        setup.configure(Settings(**{"log_format": "json", **options}), self.stream)

    @property
    def text(self) -> str:
        """All of it."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines; what is no valid JSON fails the test."""
        return [
            json.loads(line, parse_constant=_refuse_constant, parse_int=_parse_int)
            for line in self.text.split("\n")[:-1]
        ]

    @property
    def line(self) -> dict[str, Any]:
        """The one line."""
        (line,) = self.lines
        return line


def _parse_int(digits: str) -> int | str:
    return int(digits) if len(digits) < 1000 else digits  # valid JSON, but too much for Python


def _refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let a test configure logging, and undo it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(own_logging: None) -> Log:
    """Read what is logged, as JSON lines."""
    found = Log()
    found.configure()
    return found


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
    sys.modules.clear()
    sys.modules.update(modules)
