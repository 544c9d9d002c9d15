"""Packages of npm for tests: those of a package-lock.json, in a git-ignored node_modules."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path


def install(folder: Path) -> str | None:
    """Install a folder's packages unless they are there; return why that isn't possible.

    Several processes of the tests may need them at once: the first installs, the others wait.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not both on PATH"
    with (folder / "package-lock.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lock = file.read()
        installed = folder / "node_modules" / ".installed"
        if not installed.exists() or installed.read_text() != lock:
            command = [npm, "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            if done.returncode:
                return f"npm cannot install: {done.stderr}"
            installed.write_text(lock)
    return None
