"""The scripts in real shells: keys are pressed, and the screen is read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ucam_faas.completion.scripts import SCRIPTS

pytestmark = pytest.mark.slow
SECONDS = 60.0
_READY = "ready>"
START = {
    "bash": (["bash", "--noprofile", "--norc", "-i"], "PS1='rea''dy>'; source"),
    "zsh": (["zsh", "-f", "-i"], "PS1='rea''dy>'; autoload -U compinit; compinit -D -u; source"),
    "fish": (["fish", "-N", "-P", "-i"], "function fish_prompt; echo -n rea''dy'>'; end; source"),
}
"""The command of each shell, and the beginning of its first line. The quotes are for the test: it
must not take the line for its result."""


class Shell:
    """An interactive shell, in a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._unread = ""
        self.screen = ""

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read the screen until a text comes, behind the last that was waited for."""
        end = time.monotonic() + SECONDS
        while text not in self._unread:
            ready, _, _ = select.select([self._terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} is not in {self._unread!r}"
            shown = os.read(self._terminal, 65536).decode(errors="replace")
            self._unread += shown
            self.screen += shown
        self._unread = self._unread.partition(text)[2]


@contextmanager
def shell(name: str, folder: Path) -> Iterator[Shell]:
    """Start a shell, and give it the script."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} isn't installed")
    path = folder / "bin"
    path.mkdir()
    program = f'#!/bin/sh\nexec {sys.executable} -m ucam_faas "$@"\n'
    (path / "ucam-faas").write_text(program)
    (path / "ucam-faas").chmod(0o755)
    (folder / "script").write_text(SCRIPTS[name])
    arguments, before = START[name]
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    environ = {
        "PATH": f"{path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(folder),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    # A session's first process that opens a terminal is controlled by it, as fish wants to be.
    opening = ["sh", "-c", f'exec "$@" < {os.ttyname(terminal)} > {os.ttyname(terminal)} 2>&1', "-"]
    with subprocess.Popen(
        [*opening, *arguments], cwd=folder, env=environ, start_new_session=True
    ) as process:
        try:
            running = Shell(ours)
            running.press(f"{before} ./script; echo loa''ded\n")
            running.wait_for("loaded")
            running.wait_for(_READY)
            yield running
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            os.close(terminal)
            os.close(ours)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_key_completes_commands_tasks_and_files(name: str, folder: Path) -> None:
    (folder / "unusual name.py").touch()
    with shell(name, folder) as running:
        running.press("ucam-faas publi\t")
        running.wait_for("publish")
        running.press(" wel\t")
        running.wait_for("welcome")
        running.press("\x15ucam-faas jobs list --task=ti\t")
        running.wait_for("tidy")
        running.press("\x15ucam-faas serve unus\t")
        running.wait_for("name.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_command_that_fails_completes_nothing_and_prints_nothing(name: str, folder: Path) -> None:
    with shell(name, folder) as running:
        program = "#!/bin/sh\ntest $1 = completion && touch asked && echo broken >&2\nexit 3\n"
        (folder / "bin/ucam-faas").write_text(program)
        running.press("ucam-faas publi\tx; echo do''ne\n")
        running.wait_for("done")

    assert (folder / "asked").exists()
    assert "broken" not in running.screen
