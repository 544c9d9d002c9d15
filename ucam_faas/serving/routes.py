"""From a request's path to its task.

`/<task name>` is a task's path, `/` that of the first one; either may end in a topic's name
(`/projects/P/topics/T`). `/<task name>/inbox` and `/<task name>/inbox/<lane>` are those of a task's
inboxes. HTTP tasks have the paths that they ask for. A single event task that is served alone has
every path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.serving.responses import Response
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import INBOX_PATH, inbox_path

Scope = MutableMapping[str, Any]
_OF_BROWSERS = ("/favicon.ico", "/robots.txt")
"""Browsers ask for these unasked; functions-framework keeps them from its one target, too."""


class Routes:
    """The paths of tasks.

    Raises:
        UCAMFAASCouldNotLoadTarget: two tasks ask for one path.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._events = _event_paths(tasks)
        self._inboxes = {
            inbox_path(task.route, lane): task
            for task in self._events.values()
            for lane in task.lane_names
        }
        self._root = next(iter(self._events.values()), None)
        self._any_path = len(tasks) == 1
        self._flask: Any = None
        http_tasks = [task for task in tasks if task.kind is Kind.HTTP]
        self.paths = [*self._events, *(task.route for task in http_tasks)]
        if http_tasks:
            from ucam_faas.serving.flask_tasks import FlaskRoutes

            self._flask = FlaskRoutes(http_tasks)

    def find(self, scope: Scope, headers: Mapping[str, str]) -> Task | Response | None:
        """Return the task for a request, or the answer of Flask's routes, or None.

        An event task's own path comes first, then the routes of HTTP tasks, then the root.
        """
        path = scope["path"]
        if path in self._inboxes:
            return self._inboxes[path]
        place = path if path == "/" or path in self._events else _task_path(path)
        if place in self._events:
            return self._events[place]
        if self._flask is not None:
            route: Task | Response | None = self._flask.find(_request(scope, headers))
            if isinstance(route, Task) or (route and (place != "/" or self._root is None)):
                return route
        is_root = place == "/" or (self._any_path and path not in _OF_BROWSERS)
        return self._root if is_root else None

    def caller(
        self, task: Task, scope: Scope, headers: Mapping[str, str], body: bytes
    ) -> Callable[[Callable[..., Any], Any], Any] | None:
        """Return a caller of the task's function in which `flask.request` works, if it may be used.

        It can't be without Flask, nor in a task whose return value isn't the response.
        """
        if not task.returns_response or "flask" not in sys.modules:
            return None
        from ucam_faas.serving import flask_tasks

        app = self._flask.app if task.kind is Kind.HTTP else flask_tasks.bare()
        return flask_tasks.caller(app, task, _request(scope, headers), body)


def _event_paths(tasks: Sequence[Task]) -> dict[str, Task]:
    """Return the paths of the tasks that take events, and refuse clashes.

    Raises:
        UCAMFAASCouldNotLoadTarget: two tasks ask for one path.
    """
    events = {task.route: task for task in tasks if task.kind is not Kind.HTTP}
    asked: dict[tuple[str, str], Task] = {}
    for task in tasks:
        if task.kind is Kind.HTTP:
            path = re.sub(r"<([^<>:]*:)?[^<>:]*>", r"<\1>", task.route)  # whatever the names
            others = [asked.setdefault((method, path), task) for method in task.methods]
            for other in [*others, events.get(path, task)]:
                if other is not task:
                    raise UCAMFAASCouldNotLoadTarget(
                        f"The tasks {other.name!r} and {task.name!r} ask for the same path "
                        f"{task.path!r}. Give one of them another."
                    )
    return events


def _task_path(path: str) -> str:
    """Return the path of a task before a topic's name, or a lane that it doesn't have any more."""
    before, separator, _ = path.partition("/projects/")
    if separator and "/topics/" in path:
        return before or "/"
    before, separator, _ = path.rpartition(f"{INBOX_PATH}/")
    return before if separator else ""


_REQUEST = "ucam_faas.request"
"""The key in a scope of the request that was made of it: for the route, and then for the call."""


def _request(scope: Scope, headers: Mapping[str, str]) -> Any:
    if _REQUEST not in scope:
        scope[_REQUEST] = _made_request(scope, headers)
    return scope[_REQUEST]


def _made_request(scope: Scope, headers: Mapping[str, str]) -> Any:
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
