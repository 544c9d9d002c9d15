"""One request to an ASGI application, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    parts: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def text(self) -> str:
        return self.body.decode()


def call(
    app: ASGIApp,
    method: str,
    url: str,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Make a request as a browser of this machine does, unless the headers say otherwise."""
    sent = {"host": "127.0.0.1:8088", "sec-fetch-site": "same-origin", **(headers or {})}
    if form is not None:
        body = urlencode(form).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    path, _, query = url.partition("?")
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": method,
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8088),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
    }  # fmt: skip
    return asyncio.run(_call(app, scope, body))


async def _call(app: ASGIApp, scope: dict[str, Any], body: bytes) -> Answer:
    answers: list[Any] = []
    requests = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return requests.pop() if requests else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        answers.append(message)

    await app(scope, receive, send)
    start, *parts = answers
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], names, tuple(part.get("body", b"") for part in parts))
