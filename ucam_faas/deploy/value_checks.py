"""Checks of an option's value: each raises TaskDefinitionError with the expected form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError

Check = Callable[[Any], object]
"""Of a value; of a list, one item; of a map, one or more entries."""


def shown(value: Any) -> str:
    """Return a value about as TOML writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def matches(pattern: str, expected: str) -> Check:
    """Make a check of a pattern."""
    return holds(lambda value: isinstance(value, str) and re.fullmatch(pattern, value), expected)


def one_of(*choices: str) -> Check:
    """Make a check of the choices."""
    return holds(lambda value: value in choices, f"one of {', '.join(map(shown, choices))}")


def holds(test: Callable[[Any], Any], expected: str) -> Check:
    """Make a check of a test."""

    def check(value: Any) -> None:
        if not test(value):
            raise TaskDefinitionError(f"expected {expected}; found {shown(value)}")

    return check


IS_TEXT = holds(lambda value: isinstance(value, str) and value, "text")
IS_TABLE = holds(lambda value: isinstance(value, dict), "a table")
IS_SWITCH = holds(lambda value: type(value) is bool, "true or false")


def check_labels(labels: Mapping[str, Any]) -> None:
    """Refuse a label that Google refuses.

    Names begin with a lower-case letter; letters of every alphabet are letters.

    Raises:
        TaskDefinitionError: with the limit.
    """
    for name, value in labels.items():
        for part, text in (("the name", name), (f"the value of {name!r}", value)):
            is_text = isinstance(text, str) and re.fullmatch(r"[\w-]{0,63}", text)
            if not is_text or text != text.lower():
                raise TaskDefinitionError(
                    f"{part}: expected at most 63 lower-case letters, digits, - and _; "
                    f"found {shown(text)}"
                )
        if not name[:1].isalpha():
            raise TaskDefinitionError(
                f"the name: expected a lower-case letter first; found {shown(name)}"
            )
