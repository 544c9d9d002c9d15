"""The width of a developer's terminal doesn't decide whether tests pass."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

PRINT_SIZE = "import os; print(os.environ.get('COLUMNS'), os.environ.get('LINES'))"


def test_processes_do_not_inherit_the_terminals_size() -> None:
    done = subprocess.run([sys.executable, "-c", PRINT_SIZE], capture_output=True, text=True)

    assert done.stdout == "None None\n"


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 200])
def test_nor_do_they_when_pytest_runs_in_a_terminal(columns: int) -> None:
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    name = f"{__file__}::{test_processes_do_not_inherit_the_terminals_size.__name__}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", name]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as running:
        os.close(terminal)
        shown = b""
        while part := _read(ours):
            shown += part
        code = running.wait()
    os.close(ours)

    assert code == 0, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other end is closed
        return b""
