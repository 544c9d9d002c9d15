"""REST: an ASGI application that serves the methods of `Services` as Google's JSON.

Paths are those of the API reference. Errors have Google's form, and an unsupported method is a
400 with the status UNIMPLEMENTED: on a 501 gcloud tries again and again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.wire.methods import Services
from ucam_faas.emulator.wire.routes import Route, find
from ucam_faas.net import cross_site

logger = logging.getLogger("ucam_faas.emulator")

MAX_BODY_BYTES = 32 * 1024 * 1024
_STATUS = {
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "CANCELLED": 499,
    "FAILED_PRECONDITION": 400,
    "INTERNAL": 500,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "OUT_OF_RANGE": 400,
    "PERMISSION_DENIED": 403,
    "UNAVAILABLE": 503,
    "UNIMPLEMENTED": 400,
}
_IGNORED = {"alt", "prettyPrint", "quotaUser", "key", "fields", "userProject"}
Page = Callable[[str], Awaitable[tuple[str, bytes]]]
"""Takes the query string, and returns a media type and a body."""


class RestApp:
    """The application.

    Args:
        services: the methods.
        pages: other things to serve, by HTTP method and path.
        any_host: the port is open to other machines.
    """

    def __init__(
        self, services: Services, pages: dict[tuple[str, str], Page], *, any_host: bool = False
    ) -> None:
        self._any_host = any_host
        self._services = services
        self._pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            status, media_type, body = await self._answer(scope, receive)
        except RpcError as error:
            status = _STATUS.get(error.code, 500)
            media_type, body = _JSON, _error_body(status, error)
        except Exception:
            logger.exception("ucam_faas_emulator_error")
            failure = RpcError("INTERNAL", "The emulator failed; see its log.")
            status, media_type, body = 500, _JSON, _error_body(500, failure)
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Any, receive: Any) -> tuple[int, str, bytes]:
        method, path = scope["method"], scope["path"]
        if refused := cross_site.refusal(scope["headers"], any_host=self._any_host):
            raise RpcError("PERMISSION_DENIED", refused)
        page = self._pages.get((method, path))
        if page is not None:
            return 200, *await page(scope["query_string"].decode("latin-1"))
        body = await _body(receive)
        route, call = self._find(method, path, scope["query_string"].decode("latin-1"), body)
        response = await (_unless_gone(call, receive) if route.method == "Pull" else call)
        return 200, _JSON, json.dumps(protos.to_dict(response)).encode()

    async def status_of(self, method: str, path: str, body: bytes) -> int:
        """Make a request from within the emulator, and return the status of its response."""
        path, _, query = path.partition("?")
        try:
            await self._find(method, unquote(path), query, body)[1]
        except RpcError as error:
            return _STATUS.get(error.code, 500)
        return 200

    def _find(
        self, method: str, path: str, query: str, body: bytes
    ) -> tuple[Route, Awaitable[Any]]:
        """Return a request's route, and the call that answers it."""
        match = find(method, path)
        if match is None:
            raise _no_such_path(method, path)
        route, name = match
        unary = self._services.find(route.service, route.method)
        if unary is None:
            raise _no_such_path(method, path)
        fields = parse_qsl(query, keep_blank_values=True)
        return route, unary.call(_request(unary.request, route, name, body, fields))


_JSON = "application/json; charset=UTF-8"


async def _unless_gone(call: Awaitable[Any], receive: Any) -> Any:
    """Wait for a call until the client leaves: a pull would go on."""
    calling = asyncio.ensure_future(call)
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait([calling, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            raise RpcError("CANCELLED", "The client has gone.")
        return calling.result()
    finally:
        calling.cancel()
        leaving.cancel()


async def _body(receive: Any) -> bytes:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise RpcError("CANCELLED", "The client has gone.")
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise invalid(f"The request body is longer than {MAX_BODY_BYTES} bytes.")
        if not event.get("more_body"):
            break
    return b"".join(parts)


def _no_such_path(method: str, path: str) -> RpcError:
    return RpcError(
        "NOT_FOUND", f"There is no {method} {path} in Pub/Sub, Cloud Scheduler or Cloud Tasks."
    )


def _request(make: Any, route: Route, name: str, body: bytes, query: list[tuple[str, str]]) -> Any:
    try:
        content = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received: {error}") from error
    if not isinstance(content, dict):
        raise invalid(
            f"Invalid JSON payload received: expected an object, found {type(content).__name__}."
        )
    request = make()
    try:
        if route.body == "*":
            protos.ParseDict(_with_json_masks(content), request)
        elif route.body:
            protos.ParseDict(content, getattr(request, route.body))
        for key, value in query:
            if key not in _IGNORED and not key.startswith("$"):
                protos.ParseDict(_with_json_masks(_nested(key, value)), request)
    # A lone surrogate in the name of a field is a SystemError of protobuf's.
    except (protos.ParseError, RecursionError, SystemError, ValueError, OverflowError) as error:
        raise invalid(f"Invalid JSON payload received: {error}") from error
    target = request
    *parents, last = route.field.split(".")
    for parent in parents:
        target = getattr(target, parent)
    setattr(target, last, name)
    return request


def _with_json_masks(content: dict[str, Any]) -> dict[str, Any]:
    """Return a request with its update mask as JSON has it: Google's API takes snake_case too."""
    return content | {
        key: re.sub("_([a-z0-9])", lambda match: match[1].upper(), content[key])
        for key in ("updateMask", "update_mask")
        if isinstance(content.get(key), str)
    }


def _nested(key: str, value: str) -> dict[str, Any]:
    """Return a query parameter such as `options.requestedPolicyVersion=1` as JSON."""
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _error_body(status: int, error: RpcError) -> bytes:
    fields: dict[str, Any] = {"code": status, "message": error.message, "status": error.code}
    if error.reason is not None:
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.reason}
        fields["details"] = [detail | {"metadata": error.metadata}]
    return json.dumps({"error": fields}).encode()
