"""The log as JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import structlog

from ucam_faas.config import Settings
from ucam_faas.logs import setup


class Log:
    """The text of the log, from `configure` on."""

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
        """The JSON lines; a line that isn't valid JSON fails the test."""
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
    raise AssertionError(f"{name} is not JSON")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let a test configure logging and structlog, and undo it."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(own_logging: None) -> Log:
    """Read what is logged, as JSON lines."""
    log = Log()
    log.configure()
    return log
