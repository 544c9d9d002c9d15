"""The ASGI application: finds the task for a request, reads the body, answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import NoSuchTask
from ucam_faas.serving.bodies import Body, DisconnectedError, Receive, UnreadError
from ucam_faas.serving.observer import Observer
from ucam_faas.serving.responses import Response, as_problem
from ucam_faas.serving.routes import Routes, Scope
from ucam_faas.serving.service import Service
from ucam_faas.tasks.task import HEALTH_PATHS, Task

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OK = Response(200, b"ok")


class App:
    """The tasks of one process as an ASGI application.

    Args:
        patient: see `Runner`.

    Raises:
        UCAMFAASCouldNotLoadTarget: two tasks ask for one path.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        runtime: Runtime,
        observer: Observer | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self.tasks = list(tasks)
        self.runtime = runtime
        self.observer = observer or Observer()
        self.service = Service(self.tasks, runtime, self.observer, patient=patient)
        self._routes = Routes(self.tasks)
        self._of_jobs = tuple(task.route.partition("<")[0] for task in tasks if task.serves_jobs)

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
        await self.service.runner.start_up()

    async def refuse(
        self, task: Task, method: str, path: str, headers: Mapping[str, str]
    ) -> Response | None:
        """Return the answer to a request whose body need not be read, or None."""
        return await self.service.refuse(task, method, path, headers)

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the response to one request."""
        response = await self._respond(scope, receive)
        return as_problem(response) if scope["path"].startswith(self._of_jobs) else response

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        """Route, refuse, read, answer."""
        path, method = scope["path"], scope["method"]
        if path in HEALTH_PATHS:
            return _OK
        arrived_at = self.runtime.clock.monotonic()
        headers = _headers(scope["headers"])
        task = self._routes.find(scope, headers)
        if task is None:
            known = ", ".join(self._routes.paths)
            return self.service.reject(NoSuchTask(f"paths: {known[:500]}"), method, path)
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
            call = self._routes.caller(task, scope, headers, body)
            return await self.service.answer(
                task, path, headers, body, method=method, arrived_at=arrived_at, call=call
            )


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


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
