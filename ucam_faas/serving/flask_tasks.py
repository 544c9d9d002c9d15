"""HTTP tasks: routes and requests are Flask's, running and limits are ours."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.outcomes import Outcome
from ucam_faas.serving.responses import Response, flask_response, of_flask
from ucam_faas.tasks.task import Kind, Task


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came in, but for its body."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    scheme: str = "http"
    server: tuple[str, int | None] = ("localhost", 80)
    client: str = ""

    @cached_property
    def environ(self) -> dict[str, Any]:
        """The WSGI environment of the request without a body (PEP 3333)."""
        return _environ_of(self)


class FlaskRoutes:
    """The routes of HTTP tasks."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.app = Flask("ucam_faas", static_folder=None)
        self._tasks = {task.name: task for task in tasks}
        for task in self._tasks.values():
            try:
                self.app.add_url_rule(
                    task.route,
                    endpoint=task.name,
                    view_func=task.function,
                    methods=task.methods,
                )
            except (ValueError, LookupError, TypeError, SyntaxError) as error:
                raise UCAMFAASCouldNotLoadTarget(
                    f"The path {task.path!r} of task {task.name!r} isn't a Flask route: {error}"
                ) from error

    def find(self, request: HttpRequest) -> Task | Response | None:
        """Return the task for a request, a redirect or refusal of its path, or None."""
        try:
            adapter = self.app.url_map.bind_to_environ(request.environ)
            name, _ = adapter.match()
        except RequestRedirect as redirect:
            return of_flask(redirect.get_response())
        except HTTPException as refusal:
            return None if refusal.code == 404 else of_flask(refusal.get_response())
        task = self._tasks[name]
        if request.method == "OPTIONS" and "OPTIONS" not in task.methods:
            return Response(200, headers=(("allow", ", ".join(sorted(adapter.allowed_methods()))),))
        return task


def caller(
    app: Flask, task: Task, request: HttpRequest, body: bytes
) -> Callable[[Callable[..., Any], Any], Any]:
    """Return a caller of the task's function in which `flask.request` is the request.

    An HTTP task gets the request itself. The response is what `flask.abort` raised, if it did.
    """
    is_http = task.kind is Kind.HTTP
    environ = {
        **request.environ,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }

    def respond(value: Any) -> Any:
        if not is_http or isinstance(value, Outcome | ExecutionInfo | Awaitable):
            return value
        return of_flask(flask_response(app, value))

    def call(function: Callable[..., Any], payload: Any) -> Any:
        with app.request_context(environ) as context:
            try:
                value = function(context.request if is_http else payload)
                return respond(asyncio.run(value) if inspect.iscoroutine(value) else value)
            except HTTPException as error:
                return of_flask(error.get_response(environ))

    async def call_async(function: Callable[..., Any], payload: Any) -> Any:
        with app.request_context(environ) as context:
            try:
                value = function(context.request if is_http else payload)
                return respond(await value if inspect.isawaitable(value) else value)
            except HTTPException as error:
                return of_flask(error.get_response(environ))

    return call_async if task.is_async else call


@cache
def bare() -> Flask:
    """Return an application without routes, for tasks that do not ask for any."""
    return Flask("ucam_faas", static_folder=None)


def _environ_of(request: HttpRequest) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": request.server[0],
        "SERVER_PORT": str(request.server[1] or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client,
        "CONTENT_LENGTH": "0",
        "wsgi.version": (1, 0),
        # Google's front ends end TLS, and set this header themselves.
        "wsgi.url_scheme": request.headers.get("x-forwarded-proto", request.scheme),
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name != "content-length" and "_" not in name:  # x_user is not x-user
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ
