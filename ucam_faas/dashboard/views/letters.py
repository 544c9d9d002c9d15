"""The dead letters that belong to a message or a job."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import path_of
from ucam_faas.dead_letters.database import BookError


@dataclass(frozen=True, slots=True)
class LetterPages:
    """The pages of the dead letters of something.

    Args:
        paths: of the pages.
        problem: why there may be others, and what to do; empty: there are none.
    """

    paths: tuple[str, ...] = ()
    problem: str = ""


def letters_of(backends: Backends, id: str) -> LetterPages:
    """Return the pages of the dead letters of a message, or of a job (`TASK/ID`)."""
    if backends.workbench is None:
        return LetterPages()
    try:
        ids = backends.workbench.find(id)
    except BookError as error:
        return LetterPages(problem=str(error))
    return LetterPages(tuple(path_of("dead-letters", letter) for letter in ids))
