"""functions-framework's way in: a Flask request for a task, a Flask response out.

The same application answers as under our own server, on an event loop in the background that is
started in each process when its first request comes. Start-up code runs then, too: there is no
earlier moment that the package sees. A wake comes to the path of the task's inbox, or in a
CloudEvent of the inbox's topic.
"""

from __future__ import annotations

import logging
import sys
import threading
from functools import cache

from flask import Request, Response as FlaskResponse

from ucam_faas.config import Settings
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.execution import runtime
from ucam_faas.logs import problems, setup
from ucam_faas.outcomes import Crashed
from ucam_faas.serving.app import App
from ucam_faas.serving.background import BackgroundLoop, call
from ucam_faas.serving.pushed import pushed
from ucam_faas.serving.responses import of_outcome
from ucam_faas.tasks import environment, startup
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import inbox_named, inbox_path

_lock = threading.Lock()


def respond(task: Task, request: Request) -> FlaskResponse:
    """Run a task on a Flask request."""
    try:
        with _lock:
            loop, app = _app(task)
    except UCAMFAASException as error:  # functions-framework would answer with its text
        problems.log_problem("ucam_faas_start_failed", error=error, detail=str(error))
        failed = of_outcome(Crashed())
        return FlaskResponse(failed.body, failed.status, list(failed.headers))
    response = call(
        loop,
        app,
        request.method,
        _path(task, request),
        headers=dict(request.headers),
        body=request.get_data(),
        query=request.query_string,
    )
    return FlaskResponse(response.body, response.status, list(response.headers))


def _path(task: Task, request: Request) -> str:
    """Return the request's path; an inbox's for an event of its topic.

    Triggers have one path for all topics. Their events are binary: the source is a header.
    """
    source = request.headers.get("ce-source", "")
    if request.mimetype == "application/cloudevents+json":
        event = request.get_json(silent=True)
        source = str(event.get("source", "")) if isinstance(event, dict) else ""
    topic = Naming.of(runtime.of_environment().settings).own(source.rpartition("/topics/")[2])
    inbox = inbox_named(topic)
    is_ours = inbox is not None and inbox.task == task.name and task.kind is not Kind.HTTP
    return inbox_path(task.route, inbox.lane) if inbox and is_ours else request.path


@cache
def _app(task: Task) -> tuple[BackgroundLoop, App]:
    settings = Settings.from_environ()
    others = logging.getLogger().handlers
    if not others or any(_is_printed(handler) for handler in others):
        setup.configure(settings, root=not others)
    pushed([task], named=True)
    environment.HERE.add_all([task])
    built = runtime.build(settings, [task])
    app, loop = App([task], built), BackgroundLoop()
    try:
        loop.run(lambda: startup.run([task], built.clock))
    except BaseException:
        loop.close()
        raise
    return loop, app


def _is_printed(handler: logging.Handler) -> bool:
    """Return True if user code's lines go where the package's would; False under pytest."""
    return getattr(handler, "stream", None) in (sys.stdout, sys.stderr)
