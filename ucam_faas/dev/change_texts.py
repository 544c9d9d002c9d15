"""Descriptions of changed files."""

from __future__ import annotations

import os
from collections.abc import Iterable


def names_of(paths: Iterable[str]) -> str:
    """Return the sorted relative paths of files."""
    return ", ".join(sorted(os.path.relpath(path) for path in paths))


def describe(changed: set[str]) -> str:
    """Return a sentence on the changed files and the reaction to them."""
    gone = {path for path in changed if not os.path.lexists(path)}
    if not gone:
        return f"{names_of(changed)} changed; serving it"
    if gone == changed:
        return f"{names_of(gone)} deleted; serving without it"
    return f"{names_of(changed - gone)} changed, {names_of(gone)} deleted; serving the rest"
