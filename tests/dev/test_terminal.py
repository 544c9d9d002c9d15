"""`ucam-faas dev` in a terminal: colours, and Control-C as a keyboard sends it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, wait_until

from .cloud import ENDS_WITHIN, SOURCE, Rest, descendants, environ_of, wait_ended

pytestmark = pytest.mark.slow

WITH_A_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
COLOUR = re.compile(r"\033(\[[\d;]*m|\]8;;.*?\033\\)")
"""A colour, or the beginning or end of a link."""


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._keyboard, screen = os.openpty()
        os.set_blocking(self._keyboard, False)
        self.popen = subprocess.Popen(
            [sys.executable, "-c", WITH_A_TERMINAL, *command],
            cwd=folder,
            env=environ_of(folder, TERM="xterm"),
            stdin=screen,
            stdout=screen,
            stderr=screen,
        )
        os.close(screen)
        self._shown = b""
        self._is_open = True

    def screen(self) -> str:
        """Return all that was shown."""
        try:
            while part := os.read(self._keyboard, 65536):
                self._shown += part
        except OSError:  # nothing new, or the other side is gone
            pass
        return self._shown.decode().replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._keyboard, text.encode())

    def hang_up(self) -> None:
        """Close the window: the kernel tells the program."""
        self._is_open = False
        os.close(self._keyboard)

    def close(self) -> None:
        """End the program, and the terminal."""
        self.popen.kill()
        self.popen.wait(15)
        if self._is_open:
            self.hang_up()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    shutil.copy(SOURCE, tmp_path / "main.py")
    terminal = Terminal([UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0"], tmp_path)
    try:
        wait_until(lambda: "Control-C ends." in terminal.screen(), "it serves")
        yield terminal
    finally:
        terminal.close()


def test_lines_are_coloured_and_stay_aligned_and_control_c_ends_it(terminal: Terminal) -> None:
    port = re.search(r"Cloud Scheduler on 127\.0\.0\.1:(\d+)", terminal.screen())
    assert port is not None
    Rest(int(port[1])).publish("store", b'{"number": 1}')
    done = re.compile(r"  done +store  message 1, attempt 1, took", re.M)
    wait_until(lambda: done.search(COLOUR.sub("", terminal.screen())), "it is done")

    terminal.type("\x03")

    assert terminal.popen.wait(ENDS_WITHIN) == 0
    lines = [line for line in terminal.screen().splitlines() if "store" in COLOUR.sub("", line)]
    lines = [line for line in lines if re.match(r"\d\d:", COLOUR.sub("", line))]
    assert len(lines) == 3
    assert all(COLOUR.search(line) for line in lines)
    assert {COLOUR.sub("", line).index("store") for line in lines} == {24}
    dashboard = re.search(r"Dashboard on (http://127\.0\.0\.1:\d+)", terminal.screen())
    assert dashboard is not None
    assert all(f"\033]8;;{dashboard[1]}/messages/1\033\\" in line for line in lines)
    assert "Traceback" not in terminal.screen()
    assert "Aborted" not in terminal.screen()


def test_enter_delivers_what_waits_for_a_retry(terminal: Terminal) -> None:
    port = re.search(r"Cloud Scheduler on 127\.0\.0\.1:(\d+)", terminal.screen())
    assert port is not None
    Rest(int(port[1])).publish("quote", b"this")
    wait_until(lambda: "again in 10 s" in terminal.screen(), "it has failed")

    terminal.type("\n")

    wait_until(lambda: "1 message that waited for a retry" in terminal.screen(), "it is said")
    attempt = re.compile(r"quote  message 1, attempt 2")
    wait_until(lambda: attempt.search(COLOUR.sub("", terminal.screen())), "it is delivered")


def test_a_closed_window_ends_it_in_order(terminal: Terminal, tmp_path: Path) -> None:
    port = re.search(r"Cloud Scheduler on 127\.0\.0\.1:(\d+)", terminal.screen())
    assert port is not None
    Rest(int(port[1])).publish("linger", b"a")
    wait_until((tmp_path / "effects").exists, "it has begun")
    others = descendants(terminal.popen.pid)

    terminal.hang_up()
    (tmp_path / "go").touch()

    assert terminal.popen.wait(ENDS_WITHIN) == 0
    wait_ended(others)
    assert not (tmp_path / ".ucam-faas/dev.json").exists()
