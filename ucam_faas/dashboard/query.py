"""A view's argument and its results: what was asked, and the page or the place to go to next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlencode

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.logs.links import path_of as path_of


class PageNotFoundError(UCAMFAASException):
    """There is no such message, job or page; the text says where to look instead."""


class RefusedError(UCAMFAASException):
    """An action isn't possible, or a field has a wrong value; the text is for the person."""


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a URL's query, or of a form, in their order.

    Empty values are absent: a form without JavaScript sends its empty fields, too.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a name."""
        values = self.all(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        """Return all values of a name."""
        return [value for key, value in self.pairs if key == name and value != ""]

    def has(self, name: str) -> bool:
        """Return True if a name has a value."""
        return bool(self.all(name))

    def number(self, name: str) -> int | None:
        """Return the last value of a name as a number that SQLite can compare; None: it isn't."""
        text = self.get(name)
        is_number = text.isascii() and text.isdecimal() and len(text) < 19
        return int(text) if is_number else None

    def raw(self, name: str) -> str | None:
        """Return the last value of a name, which may be empty; None: it wasn't sent."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request.

    Args:
        path: of the URL, without its query.
        parts: the values of the path's parameters.
        args: the values of the URL's query: filters, and the key of the last row before this page.
        form: the fields of a POST.
        who: the person, as far as it is known; for journals.
    """

    path: str
    parts: Mapping[str, str] = field(default_factory=dict)
    args: Values = Values()
    form: Values = Values()
    who: str = ""

    def url(self, **changes: str | None) -> str:
        """Return this page's URL with other values; None removes one.

        The key of a page (`before`) is dropped unless it is named: other filters begin at the top.
        """
        changes = {"before": None, **changes}
        pairs = [(k, v) for k, v in self.args.pairs if k not in changes and v != ""]
        pairs += [(name, value) for name, value in changes.items() if value]
        return self.path + (f"?{urlencode(pairs)}" if pairs else "")


@dataclass(frozen=True, slots=True)
class Page:
    """A page: a template and its values.

    Args:
        template: the file in `templates/`.
        title: of the page, and of the browser's tab.
        values: of the template, by name.
        status: of HTTP.
    """

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class See:
    """The answer to a POST: go to a page, which shows a sentence about what was done."""

    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """Data to save as a file: a browser never shows them as a page.

    Args:
        data: all of them, or an open file, which is sent in parts and closed.
        name: of the file.
    """

    data: bytes | BinaryIO
    name: str


def pages(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], bool]:
    """Return the rows of a page, of one more that was asked for; and True if there are more."""
    return rows[:limit], len(rows) > limit
