"""Dead letters, tried with the code that is to handle them: which of them would it take now?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ucam_faas.dead_letters.differences import changes
from ucam_faas.dead_letters.letters import Content, Letter
from ucam_faas.dead_letters.parser import FieldError, Parser, Ran, StoppedError, UnknownTaskError


class Verdict(StrEnum):
    """The end of a try."""

    FIXED = "fixed"
    """The code takes the payload, which it rejected; if functions run: it handles the message."""
    FAILING = "still failing"
    UNTESTED = "untested"
    """The code takes the payload, as it did before: only a run of the function shows more."""
    UNKNOWN = "no such task"
    """The sources hold no task of the letter's."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A dead letter, tried.

    Args:
        letter: with its data.
        verdict: on it.
        errors: of its payload.
        ran: the end of the function; None: it wasn't called.
        diff: from the data to the payload that the task gets, a line for each value: `- colour:
            "red"`, `+ items.0.price: 1`. Empty: no difference, or it isn't JSON.
    """

    letter: Letter
    verdict: Verdict
    errors: tuple[FieldError, ...] = ()
    ran: Ran | None = None
    diff: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The failure in one line; empty: there is none. It may quote the payload."""
        if self.errors:
            first = self.errors[0]
            more = f", and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
            return (
                f"{first.name}: {first.message}{more}" if first.path else f"{first.message}{more}"
            )
        if self.ran is None or self.ran.is_done:
            return ""
        return self.ran.error or self.ran.reason or self.ran.outcome


def tries(
    letters: Iterable[Letter],
    parser: Parser,
    *,
    content_of: Callable[[Letter], Content] | None = None,
    run: bool = False,
) -> Iterator[Tried]:
    """Try letters, one after another.

    Args:
        letters: with their data; failed jobs are tried as messages.
        parser: of the code.
        content_of: returns the content of a letter, such as `Book.content`, which has its edits;
            None: as it died.
        run: call the functions, too: locally, and they publish nothing. `parser` must allow it.

    Raises:
        ParserError: the sources can't be loaded.
    """
    for letter in letters:
        content = letter.content if content_of is None else content_of(letter)
        yield _tried(letter, content, parser, run=run)


def _tried(letter: Letter, content: Content, parser: Parser, *, run: bool) -> Tried:
    message = (letter.task, content.data, content.attributes)
    try:
        checked = parser.read(*message, key=content.key)
        if checked.errors:
            return Tried(letter, Verdict.FAILING, checked.errors)
        diff = tuple(_diff(content.data, checked.payload))
        ran = parser.run(*message, key=content.key) if run else None
    except UnknownTaskError:
        return Tried(letter, Verdict.UNKNOWN)
    except StoppedError as error:
        return Tried(letter, Verdict.FAILING, (FieldError((), str(error), "stopped"),))
    return Tried(letter, _verdict(letter, ran), ran=ran, diff=diff)


def _verdict(letter: Letter, ran: Ran | None) -> Verdict:
    """Return the verdict on a letter whose payload the code takes."""
    if ran is not None:
        return Verdict.FIXED if ran.is_done else Verdict.FAILING
    was_rejected = letter.error.startswith("invalid_payload")
    return Verdict.FIXED if was_rejected else Verdict.UNTESTED


def _diff(data: bytes, payload: str) -> Iterator[str]:
    try:
        yield from changes(json.loads(data), json.loads(payload))
    except (ValueError, RecursionError):  # one isn't JSON
        return
