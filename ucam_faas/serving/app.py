"""The ASGI application: finds the task for a path, reads the body, answers.

`/<task name>` is a task's path, `/` that of the first one; either may end in a topic's name
(`/projects/P/topics/T`). HTTP tasks have the paths that they ask for. Where one event task is all
that is served, it has every path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import NoSuchTask
from ucam_faas.serving.bodies import Body, DisconnectedError, Receive, UnreadError
from ucam_faas.serving.observer import Observer
from ucam_faas.serving.responses import Response
from ucam_faas.serving.service import Service
from ucam_faas.tasks import startup
from ucam_faas.tasks.task import Kind, Task

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEALTH_PATHS = ("/healthy", "/status")
_OF_BROWSERS = ("/favicon.ico", "/robots.txt")
"""Browsers ask for these unasked; functions-framework keeps them from its one target, too."""
_OK = Response(200, b"ok")


class App:
    """The tasks of one process as an ASGI application.

    Raises:
        UCAMFAASCouldNotLoadTarget: two tasks ask for one path.
    """

    def __init__(
        self, tasks: Sequence[Task], runtime: Runtime, observer: Observer | None = None
    ) -> None:
        self.tasks = list(tasks)
        self.runtime = runtime
        self.observer = observer or Observer()
        self.service = Service(self.tasks, runtime, self.observer)
        self._paths = event_paths(self.tasks)
        self._root = next(iter(self._paths.values()), None)
        self._any_path = len(self.tasks) == 1
        self._flask: Any = None
        if any(task.kind is Kind.HTTP for task in self.tasks):
            from ucam_faas.serving.flask_tasks import FlaskRoutes

            self._flask = FlaskRoutes(task for task in self.tasks if task.kind is Kind.HTTP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "http":
            try:
                response = await self.respond(scope, receive)
            except DisconnectedError:
                return
            await _send(response, scope["method"], send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def start(self) -> None:
        """Run the tasks' start-up code, on the event loop that will run them.

        Raises:
            UCAMFAASCouldNotLoadTarget: some of it failed.
        """
        await startup.run(self.tasks, self.runtime.clock)

    async def refuse(
        self, task: Task, method: str, path: str, headers: Mapping[str, str]
    ) -> Response | None:
        """Return the answer to a request whose body need not be read, or None."""
        return await self.service.refuse(task, method, path, headers)

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the response to one request: route, refuse, read, answer."""
        path, method = scope["path"], scope["method"]
        if path in HEALTH_PATHS:
            return _OK
        arrived_at = self.runtime.clock.monotonic()
        headers = _headers(scope["headers"])
        task = self._route(scope, headers)
        if isinstance(task, Response):
            return task
        refusal = await self.refuse(task, method, path, headers)
        if refusal is not None:
            return refusal
        with Body(self.service.bodies) as reading:
            try:
                body = await reading.read(receive, task.policy.served_timeout_seconds)
            except UnreadError as error:
                return self.service.unread(error.outcome, method, path)
            call = None
            if task.returns_response and "flask" in sys.modules:
                call = self._caller_in_flask(task, _request(scope, headers), body)
            return await self.service.answer(
                task, path, headers, body, method=method, arrived_at=arrived_at, call=call
            )

    def _route(self, scope: Scope, headers: dict[str, str]) -> Task | Response:
        """Return the task for a request, or the answer if there is none.

        An event task's own path comes first, then the routes of HTTP tasks, then the root.
        """
        path, method = scope["path"], scope["method"]
        place = path if path == "/" or path in self._paths else _without_topic(path)
        if place in self._paths:
            return self._paths[place]
        if self._flask is not None:
            route: Task | Response | None = self._flask.find(_request(scope, headers))
            if isinstance(route, Task) or (route and (place != "/" or self._root is None)):
                return route
        if self._root is not None and (
            place == "/" or (self._any_path and path not in _OF_BROWSERS)
        ):
            return self._root
        known = ", ".join([*self._paths, *(task.path for task in self.tasks if task.path)])
        return self.service.reject(NoSuchTask(f"paths: {known[:500]}"), method, path)

    def _caller_in_flask(self, task: Task, request: Any, body: bytes) -> Any:
        """Return a caller of the task's function in which `flask.request` and the like work."""
        from ucam_faas.serving import flask_tasks

        app = self._flask.app if task.kind is Kind.HTTP else flask_tasks.bare()
        return flask_tasks.caller(app, task, request, body)


def event_paths(tasks: Sequence[Task]) -> dict[str, Task]:
    """Return the paths of the tasks that take events, and refuse clashes.

    Raises:
        UCAMFAASCouldNotLoadTarget: two tasks ask for one path.
    """
    events = {f"/{task.name}": task for task in tasks if task.kind is not Kind.HTTP}
    asked: dict[tuple[str, str], Task] = {}
    for task in tasks:
        if task.kind is Kind.HTTP:
            path = re.sub(r"<([^<>:]*:)?[^<>:]*>", r"<\1>", task.path or "/")  # whatever the names
            others = [asked.setdefault((method, path), task) for method in task.methods]
            for other in [*others, events.get(path, task)]:
                if other is not task:
                    raise UCAMFAASCouldNotLoadTarget(
                        f"The tasks {other.name!r} and {task.name!r} ask for the same path "
                        f"{task.path!r}. Give one of them another."
                    )
    return events


def _without_topic(path: str) -> str:
    before, separator, _ = path.partition("/projects/")
    return (before or "/") if separator and "/topics/" in path else ""


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; one that was sent twice has both values, as RFC 9110 joins them."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    headers = dict(pairs)
    if len(headers) < len(pairs):
        headers = {}
        for name, value in pairs:
            separator = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


async def _send(response: Response, method: str, send: Send) -> None:
    bodiless = response.status in (204, 304)
    headers = [
        (_encode(name), _encode(value))
        for name, value in response.headers
        if name != "content-length"
    ]
    if not bodiless:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if bodiless or method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


def _encode(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _request(scope: Scope, headers: dict[str, str]) -> Any:
    from ucam_faas.serving.flask_tasks import HttpRequest

    return HttpRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b""),
        headers=headers,
        scheme=scope.get("scheme", "http"),
        server=tuple(scope.get("server") or ("localhost", 80)),
        client=(scope.get("client") or ("",))[0],
    )


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
