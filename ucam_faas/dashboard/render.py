"""Templates: Jinja2 with everything escaped; an unknown name is an error. And the static files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from ucam_faas.actions import payloads
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.batches import Batch
from ucam_faas.dashboard.cards import labelled
from ucam_faas.dashboard.query import Page, path_of
from ucam_faas.dashboard.routes import Route
from ucam_faas.logs.columns import printable
from ucam_faas.logs.durations import duration_text

_HERE = Path(__file__).parent
_CODE = re.compile(r"`([^`]+)`")
STATIC = _HERE / "static"


class Renderer:
    """Makes pages from templates.

    Args:
        routes: those with a name are in the navigation.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._version = _version()
        self.environment = _environment()

    def render(
        self, page: Page, backends: Backends, path: str, note: str = "", last: int = 0
    ) -> str:
        """Return a page's HTML.

        Args:
            page: the view's.
            backends: of the request.
            path: of the request, which is marked in the navigation.
            note: about the action that came before.
            last: the number of the last event in the history, before the page's queries.
        """
        named = [route for route in self._routes if route.name and backends.has(route.needs)]
        return self.environment.get_template(page.template).render(
            **page.values,
            **self._of_all(backends),
            title=printable(page.title),
            navigation=[(route.path, route.name, _is_at(route.path, path)) for route in named],
            note=note,
            last=last,
            version=self._version,
        )

    def rows(self, batch: Batch, backends: Backends) -> str:
        """Return the rows of a batch of events."""
        template = self.environment.get_template("live_rows.html")
        return template.render(batch=batch, **self._of_all(backends))

    def _of_all(self, backends: Backends) -> dict[str, Any]:
        """Return the names that every template has."""
        paths = {route.path for route in self._routes if backends.has(route.needs)}
        return {"backends": backends, "has_page": paths.__contains__}


@cache
def _environment() -> Environment:
    """Return the templates, each of which is compiled once in a process."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    shown = (iso, utc, size, seconds, number, prose, offset, fields, cards)
    environment.filters.update({filter.__name__: filter for filter in shown})
    environment.filters.update(plain=printable, visible=payloads.visible)
    environment.globals.update(path_of=path_of, shown=payloads.shown)
    return environment


def _is_at(page: str, path: str) -> bool:
    """Return True if a path is a page, or below it."""
    return path == page or (page != "/" and path.startswith(f"{page}/"))


def prose(text: str) -> Markup:
    """Return a sentence whose code is marked by backticks.

    >>> prose("Run `a < b`.")
    Markup('Run <code>a &lt; b</code>.')
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def cards(rows: Markup, headings: Sequence[str | tuple[str, str]]) -> Markup:
    """Return a table's rows, marked for cards; see `labelled`."""
    return Markup(labelled(str(rows), headings))


def iso(time: float) -> str:
    """Return an instant for `<time datetime>`.

    >>> iso(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def utc(time: float) -> str:
    """Return an instant for people; the page's module writes it in their own zone.

    >>> utc(0.25)
    '1 Jan 1970 00:00:00 UTC'
    """
    moment = datetime.fromtimestamp(time, UTC)
    return f"{moment.day} {moment:%b %Y %H:%M:%S} UTC"


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(999), size(5_000_000)
    ('999 B', '5.0 MB')
    """
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def seconds(duration: float) -> str:
    """Return a duration for people.

    >>> seconds(0.0123), seconds(2.5), seconds(90)
    ('12 ms', '2.5 s', '1 min')
    """
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    return f"{duration:.1f} s" if duration < 60 else duration_text(duration)


def offset(duration: float) -> str:
    """Return the time since a beginning, to the millisecond where that may matter.

    >>> offset(0.0123), offset(90.5), offset(-0.0001), offset(7300)
    ('+0.012 s', '+1 min', '+0.000 s', '+2 h')
    """
    if abs(duration) >= 60:
        return f"{'-' if duration < 0 else '+'}{duration_text(abs(duration))}"
    return f"{duration:+.3f} s".replace("-0.000", "+0.000")


def fields(values: Mapping[str, Any]) -> str:
    """Return the fields of a log line in one line.

    >>> fields({"order": 17, "to": {"name": "Ann"}})
    'order=17 to={"name": "Ann"}'
    """
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return printable(" ".join(f"{name}={text}" for name, text in texts.items()))


def number(count: float) -> str:
    """Return a number with its thousands apart.

    >>> number(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def _version() -> str:
    """Return a name for these static files: browsers keep them until there are others."""
    content = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))
    return hashlib.sha256(content).hexdigest()[:12]


class _Static(StaticFiles):
    """Files that a browser may keep: their URLs have a version."""

    def file_response(self, *args: object, **extra: object) -> Response:
        """Return the response with a file."""
        response = super().file_response(*args, **extra)  # type: ignore[arg-type]
        response.headers["cache-control"] = "max-age=31536000, immutable"
        return response


def static_files() -> StaticFiles:
    """Return the application that answers with the files of `static/`."""
    return _Static(directory=STATIC)
