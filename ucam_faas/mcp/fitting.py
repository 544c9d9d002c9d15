"""Results that an agent can read: no character that it can't see, and not more than it can take."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from ucam_faas.actions.payloads import visible
from ucam_faas.mcp.tools import ToolError

MOST_CHARACTERS = 48_000
"""Of a result as JSON: some 12,000 tokens."""
_LENGTHS = (8_000, 2_000, 500, 100)
"""Of the longest text in a result, from which the first is taken that makes it fit."""


def fitted(result: Any) -> Any:
    """Return a result with its texts escaped, and cut if it is too long.

    Raises:
        ToolError: it is too long even so.
    """
    result = _each_text(visible, result)
    for length in _LENGTHS:
        fitting = _each_text(partial(cut, length=length), result)
        size = len(json.dumps(fitting, ensure_ascii=False))
        if size <= MOST_CHARACTERS:
            return fitting
    raise ToolError(
        f"The result would have {size:,} characters, of {MOST_CHARACTERS:,} at most: ask for fewer "
        "rows, or narrow the filter."
    )


def cut(text: str, length: int) -> str:
    """Return a text, or its beginning and how much is missing.

    >>> cut("abcdefgh", 3)
    'abc… (5 more characters)'
    """
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length:,} more characters)"


def _each_text(change: Callable[[str], str], value: Any) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(str(key)): _each_text(change, item) for key, item in value.items()}
        case list() | tuple():
            return [_each_text(change, item) for item in value]
    return value
