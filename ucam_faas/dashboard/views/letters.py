"""The dead letters that belong to a message or a job."""

from __future__ import annotations

from ucam_faas.dashboard.backends import Backends
from ucam_faas.dashboard.query import path_of


def letters_of(backends: Backends, id: str) -> list[str]:
    """Return the pages of the dead letters of a message, or of a job (`TASK/ID`)."""
    if backends.workbench is None:
        return []
    return [path_of("dead-letters", letter) for letter in backends.workbench.find(id)]
