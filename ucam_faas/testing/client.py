"""The HTTP side of tasks in this process, without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing import Publisher
from ucam_faas.serving.app import App
from ucam_faas.serving.background import BackgroundLoop, call
from ucam_faas.tasks import environment, startup
from ucam_faas.testing.events import make_push, to_bytes
from ucam_faas.testing.tasks import tasks_of


class ClientFactory(Protocol):
    """The type of the fixture `ucam_faas_client`."""

    def __call__(
        self,
        *tasks: Any,
        settings: Settings | None = None,
        clock: Clock | None = None,
        publisher: Publisher | None = None,
    ) -> Client:
        """Serve tasks until the test ends; see `serve`."""


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A response; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Client:
    """Makes requests to the application that would be served, in this process."""

    def __init__(self, app: App, loop: BackgroundLoop) -> None:
        self.app = app
        self.loop = loop

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str = b"",
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> ClientResponse:
        """Make a request; `path` may hold a query."""
        sent = {"host": "localhost", **(headers or {})}
        if json is not None:
            body = to_bytes(json)
            sent.setdefault("content-type", "application/json")
        content = to_bytes(body)
        sent["content-length"] = str(len(content))
        path, _, query = path.partition("?")
        response = call(
            self.loop,
            self.app,
            method,
            unquote(path),  # as a server does
            headers=sent,
            body=content,
            query=query.encode(),
        )
        return ClientResponse(response.status, dict(response.headers), response.body)

    def get(self, path: str, **options: Any) -> ClientResponse:
        """Make a GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> ClientResponse:
        """Make a POST request."""
        return self.request("POST", path, **options)

    def push(self, task: str, message: Any = b"", **options: Any) -> ClientResponse:
        """Deliver a message, or message data, as a push subscription does; see `make_push`."""
        push = make_push(message, **options)
        return self.post(f"/{task}", body=push.body, headers=push.headers)


@contextmanager
def serve(
    *tasks: Any,
    settings: Settings | None = None,
    clock: Clock | None = None,
    publisher: Publisher | None = None,
    store: JobStore | None = None,
) -> Iterator[Client]:
    """Run the start-up code of tasks, and serve them in this process, without a socket.

    Args:
        tasks: decorated functions, their tasks, or one source (a path or a module name).
        settings: default: the defaults, whatever the environment says.
        clock: default: the system's.
        publisher: takes dead letters; default: none.
        store: keeps jobs; default: memory if messages become jobs, otherwise none. `jobs` serves
            tasks with one, and runs what is sent.

    The variables that tasks declare with `environment=` are set meanwhile, unless they are set
    already.

    Raises:
        UCAMFAASCouldNotLoadTarget: a task cannot be served, or its start-up code fails.
        ConfigurationError: two tasks declare different values of one variable.
    """
    clock, served = clock or SystemClock(), tasks_of(tasks)
    if store is None and any(task.jobs.adopts for task in served):
        store = SqliteStore(":memory:", clock)
    runtime = Runtime(settings or Settings(), clock, publisher, store=store)
    app, loop = App(served, runtime), BackgroundLoop()
    try:
        with environment.HERE.during(app.tasks):
            loop.run(lambda: startup.run(app.tasks, runtime.clock))
            yield Client(app, loop)
    finally:
        app.service.runner.close()
        loop.close()
