"""The store of jobs, if one is named."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ucam_faas.doctor import bounded, state
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.exceptions import ConfigurationError, JobError, MissingExtraError
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.stores import JobStore, sqlite

_PART = Part("jobs")
SECONDS = 10.0


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the store that UCAM_FAAS_JOB_STORE names, and read from it."""
    settings = around.settings
    kind, _, path = (settings.job_store or "").partition(":")
    if not kind:
        dev = "`ucam-faas dev` keeps jobs in .ucam-faas/; without it, jobs have no store"
        if not around.is_deployed:
            yield _PART.unused(f"UCAM_FAAS_JOB_STORE isn't set: {dev}")
        return
    if kind == "sqlite" and path:
        yield _file(Path(path))
        return
    try:
        store = store_of(settings)
    except MissingExtraError:
        return  # the extras are looked at
    except ConfigurationError as error:
        yield _wrong(error, "Correct it.")
        return
    assert store is not None
    try:
        bounded.call(lambda: _read(store, settings.app), SECONDS)
        yield _PART.ok(f"{store.name} answers")
    except (JobError, TimeoutError, ConfigurationError) as error:
        yield _wrong(error, "Look at the address, the database's server, and its user.", store.name)


def _file(path: Path) -> Finding:
    """Look at a file, without opening it as a store: that would make it, or bring it up to date."""
    folder = path.absolute().parent
    if path.is_dir():
        what = f"{path} can't be used: it is a folder"
        return _PART.wrong("jobs-silent", what, "Name a file in it.")
    if not folder.is_dir():
        what = f"{path} can't be made: there is no folder {folder}"
        fix = f"mkdir -p {shlex.quote(str(folder))}"
        return _PART.wrong("jobs-silent", what, "Make the folder, or name another file.", fix)
    if not path.exists() and not os.access(folder, os.W_OK):
        what = f"{path} can't be made: this user may not write into {folder}"
        return _PART.wrong("jobs-silent", what, "Name a file in a folder of yours.")
    if not path.exists():
        return _PART.ok(f"{path} isn't there yet: the first job makes it")
    reason, is_readable = state.damage(path, sqlite.SCHEMA)
    if not reason:
        return _PART.ok(f"{path} can be used")
    do = "Install the version that made it, or name another." if is_readable else "Name another."
    return _PART.wrong("jobs-silent", f"{path} can't be used: {reason}", do)


def _read(store: JobStore, app: str) -> None:
    try:
        store.paused_lanes(app)
        store.overdue(app, 1)
    finally:
        store.close()


def _wrong(error: Exception, do: str, name: str = "") -> Finding:
    text = " ".join(str(error).split()).rstrip(".")
    lead = f"{name}: " if isinstance(error, TimeoutError) else ""
    command = ("ucam-faas jobs migrate",) if "jobs migrate" in text else ()
    return _PART.wrong("jobs-silent", f"{lead}{text}", do, *command)
