"""The folder `.ucam-faas/`: whose it is, who can read it, and whether its files can be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.emulator.core.storage import sqlite as pubsub_state
from ucam_faas.emulator.emulator import STATE_FILE
from ucam_faas.history import database as history
from ucam_faas.jobs.stores import sqlite as jobs
from ucam_faas.local_state import FILE, FOLDER, JOBS

_PART = Part("state")
ENOUGH_BYTES = 100_000_000
_MB = 1_000_000
VERSIONS = {STATE_FILE: pubsub_state.VERSION, JOBS: jobs.SCHEMA, history.FILE: history.VERSION}
"""The files that `ucam-faas dev` keeps, and the newest version of each."""
_LOSES = {
    STATE_FILE: "the topics, messages and schedules in it",
    JOBS: "the jobs in it",
    history.FILE: "the history",
}


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the state that `ucam-faas dev` keeps in the folder."""
    home = around.folder / FOLDER
    if not home.exists():
        if not around.is_deployed:
            yield _PART.unused(f"there is no {FOLDER}/ in this folder: `ucam-faas dev` makes it")
        return
    refused = list(_rights(home))
    yield from refused
    if any(finding.code == "state-not-writable" for finding in refused):
        return
    findings = [*_dev(around.folder, home), *_disk(home)]
    findings += [finding for name in VERSIONS for finding in _file(home / name)]
    yield from findings
    if not refused and not findings:
        yield _PART.ok(f"{FOLDER}/ is yours alone; its files take {_size(home)}")


def _rights(home: Path) -> Iterator[Finding]:
    if not home.is_dir():
        what = f"{FOLDER} is a file, and `ucam-faas dev` needs a folder of this name"
        yield _PART.wrong("state-not-writable", what, "Move it away.", f"mv {FOLDER} {FOLDER}.old")
        return
    try:
        paths = [home, *sorted(home.iterdir())]
        states = {path: path.lstat() for path in paths}
    except OSError as error:
        yield _not_yours(home, f"can't be read ({error.strerror or error})")
        return
    others = [path for path, status in states.items() if status.st_uid != os.geteuid()]
    locked = [path for path in paths if not os.access(path, os.W_OK)]
    if os.geteuid() and (others or locked):
        path = (others or locked)[0]
        what = f"belongs to user {states[path].st_uid}" if others else "can't be written"
        yield _not_yours(path, what)
        return
    if stat.S_IMODE(states[home].st_mode) & 0o077:
        what = f"other users can read {FOLDER}/, which may hold personal data"
        yield _PART.wrong("state-readable", what, "Take that right away.", f"chmod -R go= {FOLDER}")


def _not_yours(path: Path, why: str) -> Finding:
    name = f"{FOLDER}/{path.name}" if path.name != FOLDER else f"{FOLDER}/"
    return _PART.wrong(
        "state-not-writable",
        f"{name} {why}: did `ucam-faas dev` run as another user, or in a container?",
        "Make the folder yours, or delete it and start empty.",
        f"sudo chown -R $(id -u):$(id -g) {FOLDER}",
    )


def _dev(folder: Path, home: Path) -> Iterator[Finding]:
    """Look for the file that a killed `ucam-faas dev` left: another process may have its id now."""
    if not (home / FILE).exists() or local_state.is_held(folder):
        return
    cloud = local_state.read(folder)
    process = cloud.process if cloud else "unknown"
    yield _PART.wrong(
        "state-stale",
        f"{FOLDER}/{FILE} is of a `ucam-faas dev` that was killed (process {process})",
        "Delete it, or start `ucam-faas dev` again, which continues with its messages and jobs.",
        f"rm {FOLDER}/{FILE}",
    )


def _file(path: Path) -> Iterator[Finding]:
    """Look at a database."""
    reason, is_readable = damage(path, VERSIONS[path.name], exact=path.name == STATE_FILE)
    if reason:
        other = ", or install the version that made it" if is_readable else ""
        yield _PART.wrong(
            "state-broken",
            f"{FOLDER}/{path.name} can't be used: {reason}",
            f"Delete it, which loses {_LOSES[path.name]}{other}.",
            f"rm {FOLDER}/{path.name}*",
        )


def damage(path: Path, known: int, *, exact: bool = False) -> tuple[str, bool]:
    """Return why a database can't be used, and True if another version of ucam-faas can use it.

    The file isn't changed.

    Args:
        path: of the file, which may not be there.
        known: the newest version of its tables, in `PRAGMA user_version`.
        exact: older versions can't be used.
    """
    if not path.exists():
        return "", True
    try:
        version, problem = _read(path)
    except sqlite3.OperationalError:
        return "", True  # a `ucam-faas dev` has it open
    except sqlite3.DatabaseError as error:
        return str(error), False
    if version > known:
        return f"it is of a newer ucam-faas (version {version}; this one knows {known})", True
    if exact and version not in (0, known):
        return f"it is of an older ucam-faas (version {version}, not {known})", True
    return problem, False


def _read(path: Path) -> tuple[int, str]:
    """Return the version of a database, and the first problem in it."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)) as database:
        database.execute("PRAGMA query_only = ON")
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if path.stat().st_size > ENOUGH_BYTES:  # it would take seconds
            return version, ""
        result = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        return version, "" if result == "ok" else result.replace("\n", " ")


def _disk(home: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(home).free
    if free < ENOUGH_BYTES:
        what = f"{free // _MB} MB are free for {FOLDER}/"
        do = "Free some space: without any, `ucam-faas dev` loses messages and jobs."
        yield _PART.wrong("disk-full", what, do, f"du -h {FOLDER}")


def _size(home: Path) -> str:
    total = sum(path.stat().st_size for path in home.iterdir() if path.is_file())
    return f"{total / _MB:.1f} MB" if total else "no space"
