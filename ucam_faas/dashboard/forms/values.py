"""JSON as a form needs it: read without losing anything, and compared strictly."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_HIDDEN = ("Cc", "Cs")
"""Categories of characters that an HTML page can't carry."""


class UnfaithfulError(ValueError):
    """A form would change this JSON: it is shown and edited as text."""


def load(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        UnfaithfulError: the value has less in it than the text: a name occurs twice, or a number
            has more digits than a float.
        ValueError: it isn't JSON.

    >>> load('{"a": [1, 2.50]}')
    {'a': [1, 2.5]}
    """
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_float, parse_constant=_constant
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dump(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON that an HTML page can carry."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if can_show(text) else json.dumps(value, indent=indent)


def same(one_value: Any, other: Any) -> bool:
    """Return True if two values are the same JSON: 1, 1.0 and true all differ."""
    return json.dumps(one_value, sort_keys=True) == json.dumps(other, sort_keys=True)


def can_show(text: str) -> bool:
    """Return True if an HTML control gives a text back as it is."""
    return not any(
        unicodedata.category(letter) in _HIDDEN and letter not in "\n\t" for letter in text
    )


def is_date(text: str) -> bool:
    """Return True for a day of the calendar, written as in 2026-01-31."""
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def number(text: str) -> int | float:
    """Return the number that was typed.

    Raises:
        ValueError: it isn't a number of JSON.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    value = load(text.strip())
    assert isinstance(value, int | float)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise UnfaithfulError("a name occurs twice in one object")
    return value


def _float(text: str) -> float:
    value = float(text)
    try:
        exact = Decimal(repr(value)) == Decimal(text)
    except InvalidOperation:
        exact = False
    if not exact:
        raise UnfaithfulError("a number has more digits than a float keeps")
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} isn't JSON")
