"""Results as an agent gets them: invisible characters are escaped, and long texts are cut."""

from __future__ import annotations

import json
import math
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
        ToolError: it is too long even so, or nested too deeply.
    """
    try:
        result = _each(result, visible)
        for length in _LENGTHS:
            fitting = _each(result, partial(cut, length=length))
            size = len(json.dumps(fitting, ensure_ascii=False))
            if size <= MOST_CHARACTERS:
                return fitting
    except RecursionError as error:
        raise ToolError("The result is nested too deeply to be shown.") from error
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


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with its texts changed, and null in place of NaN and infinities."""
    match value:
        case str():
            return change(value)
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {visible(str(key)): _each(item, change) for key, item in value.items()}
        case list() | tuple():
            return [_each(item, change) for item in value]
    return value
