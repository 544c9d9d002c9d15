"""Messages fit the terminal."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from typing import IO

import pytest

from tests.support.terminal import screen_of
from ucam_faas.cli._messages import folded, say


@pytest.fixture
def terminal() -> Iterator[IO[str]]:
    """A terminal with 40 columns."""
    controller, descriptor = os.openpty()
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with os.fdopen(controller, "rb"), os.fdopen(descriptor, "w") as stream:
        yield stream


def test_the_continuations_of_each_line_are_indented(terminal: IO[str]) -> None:
    text = (
        "15:53:37.000  PENDING   sleeping, run 1: until Sat\n15:53:38.000  STARTED   claimed, run 2"
    )

    lines = folded(text, terminal, indent=14).split("\n")

    assert lines == [
        "15:53:37.000  PENDING   sleeping, run 1:",
        "              until Sat",
        "15:53:38.000  STARTED   claimed, run 2",
    ]


@pytest.mark.parametrize(("variable", "painted"), [("NO_COLOR", False), ("UNUSED", True)])
def test_colours_are_left_out_where_they_are_not_wanted(
    variable: str, painted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")

    shown = screen_of(lambda: say("All is well.", "green"), 80)

    assert ("\033[32m" in shown) is painted
