"""Descriptions of changed files."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ucam_faas.exceptions import UCAMFAASException


def names_of(paths: Iterable[str]) -> str:
    """Return the sorted relative paths of files."""
    return ", ".join(sorted(os.path.relpath(path) for path in paths))


def cause_of(error: UCAMFAASException, changed: set[str]) -> set[str]:
    """Return the changed file that an error is in; all of them, if it is in none."""
    file = os.path.realpath(error.place[0]) if error.place else ""
    return {file} if file in changed else changed


def describe(changed: set[str]) -> str:
    """Return a sentence on the changed files and the reaction to them."""
    gone = {path for path in changed if not os.path.lexists(path)}
    if not gone:
        return f"{names_of(changed)} changed; serving it"
    if gone == changed:
        return f"{names_of(gone)} deleted; serving without it"
    return f"{names_of(changed - gone)} changed, {names_of(gone)} deleted; serving the rest"
