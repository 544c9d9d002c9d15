"""What a value of the configuration may be: checks that return what is wrong, or None."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError

Check = Callable[[Any], str | None]
"""From a value (of a list: one item; of a map: one entry) to what is wrong with it."""


def shown(value: Any) -> str:
    """Return a value about as TOML writes it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def looks_secret(name: str) -> bool:
    """Tell whether an environment variable of this name is likely to hold a secret.

    >>> [name for name in ("DB_PASSWORD", "API_KEYS", "MONKEY", "KEY_FILE") if looks_secret(name)]
    ['DB_PASSWORD', 'API_KEYS']
    """
    words = re.split(r"[_\W]+", name.upper())
    return bool(_SECRET_WORDS.intersection(words)) and not _HARMLESS.intersection(words)


_SECRET_WORDS = {
    *("PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "TOKEN", "TOKENS", "KEY", "KEYS"),
    *("SECRET", "SECRETS", "APIKEY", "CREDENTIAL", "CREDENTIALS"),
}
_HARMLESS = {"ID", "NAME", "URL", "URI", "PATH", "FILE", "SECONDS", "TTL", "PUBLIC"}
"""With one of these it says where the secret is, or something else about it."""


def matches(pattern: str, expected: str) -> Check:
    """Make a check of a pattern."""
    compiled = re.compile(pattern)
    return is_such(lambda value: isinstance(value, str) and compiled.fullmatch(value), expected)


def one_of(choices: Iterable[str]) -> Check:
    """Make a check of the values that there are."""
    known = tuple(choices)
    return is_such(lambda value: value in known, f"one of {', '.join(map(shown, known))}")


def is_such(test: Callable[[Any], Any], expected: str) -> Check:
    """Make a check of a test."""
    return lambda value: None if test(value) else f"expected {expected}; found {shown(value)}"


def passes(check: Callable[[Any], Any]) -> Check:
    """Make a check of a function that raises, as the same option in the code does."""

    def problem(value: Any) -> str | None:
        try:
            check(value)
        except TaskDefinitionError as error:
            return str(error).rstrip(".")
        return None

    return problem


IS_TEXT = is_such(lambda value: isinstance(value, str) and value, "text")
IS_TABLE = is_such(lambda value: isinstance(value, dict), "a table")
IS_SWITCH = is_such(lambda value: type(value) is bool, "true or false")

_LABEL = re.compile(r"[\w-]{0,63}")


def label_problem(label: Mapping[str, Any]) -> str | None:
    """Return what is wrong with one label.

    Names begin with a lower-case letter; letters of every alphabet are letters.
    """
    ((name, value),) = label.items()
    for what, text in (("the name", name), (f"the value of {name!r}", value)):
        if not isinstance(text, str) or not _LABEL.fullmatch(text) or text != text.lower():
            return (
                f"{what}: expected at most 63 lower-case letters, digits, - and _; "
                f"found {shown(text)}"
            )
    if not name[:1].isalpha():
        return f"the name: expected a lower-case letter first; found {shown(name)}"
    return None
