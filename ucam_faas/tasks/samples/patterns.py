"""Texts that match a regular expression, as JSON Schema's `pattern` has it."""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

_TRIES = 200
_LONGEST_REPEAT = 64
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.:/@"
"""The characters that are tried first for a class of characters."""
_ANY = [*_PLAIN, *map(chr, range(33, 127)), "\t", "\n", *map(chr, range(160, 0x3000))]
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda c: not c.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda c: not c.isspace(),
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
    "CATEGORY_NOT_WORD": lambda c: not (c.isalnum() or c == "_"),
}


def matching(
    pattern: str, *, shortest: int = 0, longest: int | None = None, variation: int = 0
) -> str:
    """Return a text that matches, of a length in bounds; the same for the same arguments.

    Args:
        pattern: a regular expression; a part of the text may match it.
        shortest: least number of characters.
        longest: greatest number of characters; None: no bound.
        variation: another number makes another text, where there is one.

    Raises:
        ValueError: none was found.
    """
    try:
        compiled = re.compile(pattern)
        tree = _parse(pattern)
    except (re.error, ImportError, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} cannot be read as a regular expression: {error}") from error
    for number in range(_TRIES):
        # The first text is the simplest; the others repeat more and choose at random.
        chance = random.Random(f"{variation}/{number}") if variation or number else None
        text = _Writer(chance, extra=number % (_LONGEST_REPEAT + 1)).write(tree)
        text = text[:longest] if longest is not None and len(text) > longest else text
        if len(text) >= shortest and compiled.search(text):
            return text
    raise ValueError(f"no text of the right length was found that matches {pattern!r}")


def _parse(pattern: str) -> Iterable[Any]:
    # Python's own parser has no public name, and has been there under this one since 3.11.
    parsed: Iterable[Any] = importlib.import_module("re._parser").parse(pattern)
    return parsed


class _Writer:
    """Writes a text for a parsed expression.

    Args:
        chance: chooses; None: the first choice.
        extra: repeats beyond the fewest.
    """

    def __init__(self, chance: random.Random | None, *, extra: int) -> None:
        self._chance = chance
        self._extra = extra
        self._groups: dict[int, str] = {}

    def write(self, tree: Iterable[Any]) -> str:
        """Return a text for a sequence of nodes."""
        return "".join(self._node(str(op), value) for op, value in tree)

    def _node(self, op: str, value: Any) -> str:
        match op:
            case "LITERAL":
                return chr(value)
            case "NOT_LITERAL":
                others: list[str] = [c for c in _ANY if c != chr(value)]
                return self._pick(others)
            case "ANY":
                return self._pick(_PLAIN)
            case "IN":
                return self._pick(_members(tuple(value)))
            case "BRANCH":
                branches: list[Iterable[Any]] = value[1]
                return self.write(self._pick(branches))
            case "SUBPATTERN":
                text = self.write(value[3])
                if value[0] is not None:
                    self._groups[value[0]] = text
                return text
            case "ATOMIC_GROUP":
                return self.write(value)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                fewest, most, tree = value
                count = min(int(most), int(fewest) + self._extra, int(fewest) + _LONGEST_REPEAT)
                return "".join(self.write(tree) for _ in range(count))
            case "GROUPREF":
                return self._groups.get(value, "")
            case _:  # assertions and anchors: the caller looks whether the whole matches
                return ""

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[0] if self._chance is None else self._chance.choice(choices)


@lru_cache(16)  # a text of many characters asks for the same class again and again
def _members(nodes: tuple[tuple[Any, Any], ...]) -> list[str]:
    """Return characters of a class such as `[a-z_]`, the plainest first."""
    negated = str(nodes[0][0]) == "NEGATE"
    characters = [c for c in _ANY if any(_is_in(c, *node) for node in nodes) is not negated]
    rare = [chr(value) for op, value in nodes if str(op) == "LITERAL" and not negated]
    rare += [chr(value[0]) for op, value in nodes if str(op) == "RANGE" and not negated]
    return characters or rare or [""]


def _is_in(character: str, op: Any, value: Any) -> bool:
    match str(op):
        case "LITERAL":
            return bool(ord(character) == value)
        case "RANGE":
            return bool(value[0] <= ord(character) <= value[1])
        case "CATEGORY":
            return _CATEGORIES[str(value)](character)
        case _:
            return False
