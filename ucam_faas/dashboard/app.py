"""The ASGI application: checks a request, calls its view in a thread, and renders the page."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route as Path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ucam_faas.backends.ports import Backends, Connect
from ucam_faas.dashboard import security
from ucam_faas.dashboard.query import Download, Page, PageNotFoundError, Query, See, Values
from ucam_faas.dashboard.render import Renderer, static_files
from ucam_faas.dashboard.routes import ROUTES, Route
from ucam_faas.dashboard.streams import Streams
from ucam_faas.exceptions import UCAMFAASException

MOST_FORM_BYTES = 32 * 1024 * 1024
"""Of a form: a message of 10 MB, each of whose bytes may be sent as three characters."""
MOST_FIELDS = 10_000
PART_BYTES = 256 * 1024
"""Of a file, in memory at a time."""
NOTE = "ucam_faas_note"
"""The cookie that brings the sentence about an action to the page after it."""
_MOST_NOTE = 500

logger = logging.getLogger("ucam_faas")


def make_app(
    connect: Connect,
    *,
    allowed: frozenset[str] = frozenset(),
    who: Callable[[Headers], str] = lambda headers: "",
    routes: Sequence[Route] = ROUTES,
) -> Site:
    """Return the application.

    Args:
        connect: returns the backends of a request.
        allowed: names of the site, apart from addresses and this machine's own names.
        who: returns the person that a request is of, from its headers.
        routes: the pages and actions.
    """
    renderer = Renderer(routes)
    pages = _Pages(connect, renderer, who)
    streams = Streams(connect, renderer.rows)
    paths = [
        Path("/changes", streams.changes),
        Path("/live/events", streams.rows),
        *(pages.path_of(route) for route in routes),
    ]
    app = Starlette(
        routes=[*paths, Mount("/static", static_files())],
        exception_handlers={HTTPException: pages.on_http_error, Exception: _on_error},
    )
    app.router.redirect_slashes = False
    return Site(app, allowed, streams)


class Site:
    """Refuses the requests of other sites, and puts the headers of `security` on each answer.

    Args:
        app: answers the others.
        allowed: names of the site.
        streams: of events.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str], streams: Streams) -> None:
        self._app = app
        self._allowed = allowed
        self.end_streams = streams.end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in security.HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        refused = security.refusal(scope["method"], headers, self._allowed)
        if refused is not None:
            await PlainTextResponse(refused, 403)(scope, receive, guarded)
            return
        # Of the path as it was sent: a quoted slash is a part of an id.
        path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        await self._app({**scope, "path": path}, receive, guarded)


class _Pages:
    """Answers with pages."""

    def __init__(self, connect: Connect, renderer: Renderer, who: Callable[[Headers], str]) -> None:
        self._connect = connect
        self._renderer = renderer
        self._who = who

    def path_of(self, route: Route) -> Path:
        """Return starlette's route for one of the table."""

        async def answer(request: Request) -> Response:
            form = await _form_of(request) if route.post else Values()
            query = Query(
                path=request.scope["path"],
                parts={name: unquote(value) for name, value in request.path_params.items()},
                args=_values(request.url.query),
                form=form,
                who=self._who(request.headers),
            )
            return await run_in_threadpool(self._answer, route, query, _note_of(request))

        return Path(route.path, answer, methods=["POST" if route.post else "GET"])

    def _answer(self, route: Route, query: Query, note: str) -> Response:
        try:
            backends = self._connect()
            last = 0 if backends.history is None else backends.history.last_seq()
        except UCAMFAASException as error:
            return self._error(Backends(), 502, str(error))
        try:
            if not backends.has(route.needs):
                raise PageNotFoundError("There is no such page here.")
            if route.post and backends.read_only and not route.reads:
                return self._error(backends, 403, "This dashboard is read-only.")
            result = _logged(route, query, backends) if route.post else route.view(query, backends)
        except PageNotFoundError as error:
            return self._error(backends, 404, str(error))
        except UCAMFAASException as error:
            return self._error(backends, 409 if route.post else 502, str(error))
        if isinstance(result, See):
            return _see(result)
        if isinstance(result, Download):
            return _download(result)
        return self._page(backends, query.path, result, note, last)

    def _page(
        self, backends: Backends, path: str, page: Page, note: str = "", last: int = 0
    ) -> Response:
        text = self._renderer.render(page, backends, path, note, last)
        response = HTMLResponse(text, page.status)
        if note:
            response.delete_cookie(NOTE)
        return response

    def _error(self, backends: Backends, status: int, text: str) -> Response:
        title = {403: "Read-only", 404: "Not found", 409: "Not done"}.get(status, "No answer")
        page = Page("error.html", title, {"text": text}, status)
        return self._page(backends, "", page)

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        """Return a page for an unknown path or method."""
        assert isinstance(error, HTTPException)
        text = "There is no such page." if error.status_code == 404 else str(error.detail)
        backends = await run_in_threadpool(self._connect)
        return await run_in_threadpool(self._error, backends, error.status_code, text)


def _logged(route: Route, query: Query, backends: Backends) -> Page | See | Download:
    """Do an action, and log it, unless the view does: it knows more."""
    lines: list[str] = []

    def log(who: str, action: str, about: str) -> None:
        lines.append(action)
        backends.log(who, action, about)

    result = route.view(query, replace(backends, log=log))
    if not lines:
        backends.log(query.who, "acted", query.path)
    return result


async def _on_error(request: Request, error: Exception) -> Response:
    """Answer for a fault of this package; starlette raises it again, and the server logs it."""
    return PlainTextResponse("The dashboard failed; its log says why.", 500)


async def _form_of(request: Request) -> Values:
    """Return the fields of a form.

    Raises:
        HTTPException: it isn't a form, or it is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise HTTPException(415, "Send a form: application/x-www-form-urlencoded.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(413, "The form is too large.")
    return await run_in_threadpool(_values, body.decode("latin-1"))


def _values(text: str) -> Values:
    try:
        return Values(tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)))
    except ValueError as error:
        raise HTTPException(400, "There are too many fields.") from error


def _note_of(request: Request) -> str:
    return unquote(request.cookies.get(NOTE, ""))[:_MOST_NOTE]


def _see(see: See) -> Response:
    response = RedirectResponse(see.url, 303)
    if see.note:
        note = quote(see.note[:_MOST_NOTE])
        response.set_cookie(NOTE, note, max_age=30, httponly=True, samesite="strict")
    return response


def _download(download: Download) -> Response:
    name = quote(download.name, safe="")
    headers: dict[str, Any] = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
    kind = "application/octet-stream"
    if isinstance(download.data, bytes):
        return Response(download.data, media_type=kind, headers=headers)
    headers["content-length"] = str(os.fstat(download.data.fileno()).st_size)
    return StreamingResponse(_parts(download.data), media_type=kind, headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(PART_BYTES):
            yield part
