"""A collection's code in an image: readable by all, and without hidden files and passwords."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

APP = Path("/srv/app")
LINK = APP / ".source"
"""Leads to the source; the image's /srv/tasks leads here."""
SECRETS = ("pip.conf", "netrc")
"""Files that a build reads as secrets, and that lie beside the code."""
_WORKER = re.compile(r"batch_handler|run_as *= *[\"']worker[\"']")


def tidy(source: str) -> None:
    """Remove hidden files and passwords, let all read the rest, and link the source."""
    secrets = (path for name in SECRETS for path in APP.rglob(name) if path.is_file())
    for path in (*sorted(APP.rglob(".*")), *secrets):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (APP, *APP.rglob("*")):
        if not path.is_symlink():
            is_program = path.is_dir() or path.stat().st_mode & 0o111
            path.chmod(0o755 if is_program else 0o644)
    LINK.symlink_to(source)


def has_workers() -> bool:
    """Return True if a file seems to have a task that pulls its messages; nothing is imported."""
    files = (path for path in (APP / LINK.readlink()).rglob("*") if path.suffix in {".py", ".toml"})
    return any(_WORKER.search(file.read_text(errors="replace")) for file in files if file.is_file())
