"""Errors of parsers, as text that quotes nothing of their input."""

from __future__ import annotations

import re
import sys

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_DESCRIBED = 10_000
"""pydantic makes all errors at once for the first one, at 7 µs each; see also `fail_fast`."""


def describe(error: ValidationError) -> str:
    """Return the paths and kinds of a model's errors, without values."""
    if error.error_count() > MAX_DESCRIBED:
        return f"{error.error_count()} errors"
    parts = [f"{'.'.join(path) or '(whole)'}: {kind}" for path, kind in kinds(error)]
    more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
    return "; ".join(part[:200] for part in parts[:5]) + more


def kinds(error: ValidationError) -> list[tuple[list[str], str]]:
    """Return the path and the kind of each of a model's errors; none if there are too many."""
    if error.error_count() > MAX_DESCRIBED:
        return []
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [(_path(item), item["type"]) for item in details]


def _path(error: ErrorDetails) -> list[str]:
    """Return an error's path; parts that the sender made up may be personal, and are left out."""
    names = [shown_name(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        names[-1] = "*"
    return names


def shown_name(part: str | int) -> str:
    """Return the name or the number of a part of a payload; "*" if it may be data.

    >>> shown_name("pence"), shown_name(3), shown_name("a@example.org")
    ('pence', '3', '*')
    """
    return str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "*"


_NAME = re.compile(r"[^\W\d]\w{0,59}")


def describe_error(error: BaseException) -> str:
    """Return a parser's error without its text, which may quote the payload."""
    return describe(error) if isinstance(error, ValidationError) else type(error).__qualname__


def is_about_data(error: BaseException) -> bool:
    """Return True for the OSErrors that say "not my format": of gzip and bz2, which have no number.

    Other OSErrors, in the parser of a message, may pass: a schema that couldn't be fetched, say.
    """
    bad_gzip = getattr(sys.modules.get("gzip"), "BadGzipFile", ())
    return isinstance(error, bad_gzip) or (type(error) is OSError and error.errno is None)
