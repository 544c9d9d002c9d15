"""The task that serves jobs over HTTP, and its answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Unpack
from urllib.parse import quote

from ucam_faas.decorators import http
from ucam_faas.events.model_errors import shown_name
from ucam_faas.exceptions import (
    DuplicateJobError,
    JobConflictError,
    JobNotFoundError,
    JobStoreError,
    PayloadMissingError,
    QueueFull,
    TaskDefinitionError,
)
from ucam_faas.function import put
from ucam_faas.gcp.limits import MAX_MESSAGE_BYTES
from ucam_faas.http_jobs import payloads, send_parameters
from ucam_faas.http_jobs.openapi import document
from ucam_faas.http_jobs.problems import STORE_SECONDS, Problem
from ucam_faas.http_jobs.representation import body_of, identity, retry_seconds
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.send_options import SendOptions, is_id, wait_of
from ucam_faas.jobs.states import State
from ucam_faas.jobs.transactions import in_thread, within
from ucam_faas.sending import sends
from ucam_faas.sending.publication import NO_PAYLOAD
from ucam_faas.sending.sender import handle, sender
from ucam_faas.task_types import TaskFunction
from ucam_faas.tasks.option_table import HttpOptions
from ucam_faas.tasks.task import Task

OPENAPI = "openapi.json"
CANCEL = "/cancel"
_READS = ("GET", "HEAD")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""All of them, so that the answer to a wrong one is a problem, too."""
Response = tuple[bytes, int, dict[str, str]]


def jobs_over_http(
    *tasks: Any, path: str = "/jobs", **options: Unpack[HttpOptions]
) -> TaskFunction[..., Any]:
    """Make an HTTP task that takes and shows the jobs of tasks, for systems without Python.

    It is a service of its own, whose callers `invokers=` names. It answers
    `POST /jobs/TASK`, `GET /jobs/TASK/ID`, `POST /jobs/TASK/ID/cancel` and
    `GET /jobs/openapi.json`.

    Args:
        tasks: those that its callers may send to. They see all jobs of these tasks.
        path: where it is served.
        options: of the task, as `http` takes them, such as `invokers` and `name`.

    Raises:
        TaskDefinitionError: a task can't be sent to, or an option can never work.

    >>> from ucam_faas import message_handler
    >>> @message_handler
    ... def charge(order: dict[str, int]) -> None: ...
    >>> jobs = jobs_over_http(charge, invokers=["serviceAccount:crm@p.iam.gserviceaccount.com"])
    """
    for task in tasks:
        if isinstance(task, str):
            raise TaskDefinitionError(
                f"jobs_over_http({task!r}): expected the task itself, whose type checks payloads."
            )
    if not tasks:
        raise TaskDefinitionError("jobs_over_http() without tasks: name those to send to.")
    options["sends"] = [*(options.get("sends") or ()), *tasks]
    decorate = http(path=f"{path.rstrip('/')}/<path:rest>", methods=_METHODS, **options)
    task_function = decorate(Api(tasks, path.rstrip("/")))
    caller = sys._getframe(1)
    task = replace(
        task_function.task,
        module=caller.f_globals.get("__name__", "__main__"),
        written_at=(caller.f_code.co_filename, caller.f_lineno),
        serves_jobs=True,
    )
    put(task_function, task)
    return task_function


class Api:
    """Takes and shows jobs over HTTP.

    Args:
        functions: the task functions.
        path: that of the service, without a slash at its end.
    """

    def __init__(self, functions: Sequence[Any], path: str) -> None:
        self._functions = functions
        self._path = path

    async def __call__(self, request: Any, rest: str) -> Response:
        """Take, show and cancel jobs.

        Args:
            request: Flask's.
            rest: of its path, after the service's.
        """
        try:
            return await self._answer(request, rest)
        except Exception as error:
            return _problem_of(error).response()

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks by their names, which may be given after this object is made."""
        tasks = [function.task for function in self._functions]
        return {task.name: task for task in tasks}

    @cached_property
    def _document(self) -> bytes:
        info = {"title": f"Jobs of {sender().settings.app}", "version": "1"}
        return json.dumps(document(list(self.tasks.values()), self._path, info)).encode()

    async def _answer(self, request: Any, rest: str) -> Response:
        name, _, id = rest.partition("/")
        if rest == OPENAPI:
            answer, method = self._describe, "GET"
        elif name not in self.tasks:
            detail = f"This service has no such task. It has: {', '.join(self.tasks)}."
            raise Problem(404, "task-unknown", detail)
        elif not id:
            answer, method = self._send, "POST"
        elif request.method not in _READS and id.endswith(CANCEL) and id != CANCEL:
            answer, method, id = self._cancel, "POST", id.removesuffix(CANCEL)
        else:
            answer, method = self._show, "GET"
        if id and not is_id(id):
            raise JobNotFoundError("No job can have this id.")  # PostgreSQL would refuse a NUL
        allowed = [*_READS] if method == "GET" else [method]
        if request.method not in allowed:
            allow = {"allow": ", ".join([*allowed, "OPTIONS"])}
            if request.method == "OPTIONS":
                return b"", 204, allow
            raise Problem(405, "method", f"Expected {method}.", allow)
        return await answer(request, name, id)

    async def _describe(self, request: Any, name: str, id: str) -> Response:
        send_parameters.check_none(_query(request))
        return self._document, 200, {"content-type": payloads.JSON}

    async def _send(self, request: Any, name: str, id: str) -> Response:
        task, headers = self.tasks[name], request.headers
        header = headers.get(send_parameters.ID_HEADER)
        options = send_parameters.send_options(task, header, _query(request))
        forms = headers.get("content-type", ""), headers.get("content-encoding", "")
        job = await in_thread(_send, task, request.get_data(), forms, options)
        location = {"location": f"{self._path}/{name}/{quote(job.id, safe='')}"}
        return _json(identity(name, job.id), 202, {**location, "retry-after": "1"})

    async def _show(self, request: Any, name: str, id: str) -> Response:
        wait = send_parameters.wait_seconds(_query(request))
        here = sender()
        job, store = handle(here, self.tasks[name], id), here.jobs_for("no job can be followed")
        row = await in_thread(_row, job)
        if wait and not row.state.is_completed:
            with suppress(TimeoutError):
                await job.wait_async(wait)
            row = await in_thread(_row, job)
        if not row.state.is_completed:
            again = retry_seconds(row, here.clock.now().timestamp())
            headers = {"retry-after": str(again)}
            return body_of(row, None), 200, {"content-type": payloads.JSON, **headers}
        result = await in_thread(store.result_of, row) if row.state is State.SUCCESS else None
        return body_of(row, result), 200, {"content-type": payloads.JSON}

    async def _cancel(self, request: Any, name: str, id: str) -> Response:
        send_parameters.check_none(_query(request))
        job = handle(sender(), self.tasks[name], id)
        state = await job.cancel_async()
        if state.is_completed and state is not State.CANCELLED:
            raise Problem(409, "ended", "The job has ended.", state=state)
        return _json({**identity(name, id), "state": state}, 202, {})


def _send(task: Task, body: bytes, forms: tuple[str, str], options: SendOptions) -> Job[Any]:
    """Check a payload, and send it; in a thread, since it may be large."""
    data = payloads.read(task, body, *forms)
    store = sender().jobs_for("no job can be followed")
    most = min(MAX_MESSAGE_BYTES, store.max_bytes or MAX_MESSAGE_BYTES)
    if len(data) > most:
        raise Problem(413, "payload-too-large", f"Expected a payload of at most {most} bytes.")
    try:
        wait_of(options, store.now)
    except ValueError as error:
        detail = "ttl: the job would expire before it may start."
        raise send_parameters.invalid("ttl", detail) from error
    try:
        return sends.send(task, data or NO_PAYLOAD, **options)
    except ValueError as error:
        detail = "The id, unique key or limit of the task doesn't take this payload."
        raise Problem(422, "payload-rejected", detail, errors=[]) from error


def _row(job: Job[Any]) -> Row:
    row = within(job.store).get(job.key) if job.store is not None else None
    if row is None:
        raise JobNotFoundError(f"There is no job {job.id!r}.")
    return row


def _problem_of(error: Exception) -> Problem:
    """Return the answer to an error.

    Raises:
        Exception: the error itself, if it is a fault.
    """
    match error:
        case Problem():
            return error
        case JobNotFoundError():
            return Problem(404, "job-unknown", "The task has no such job, or it was removed.")
        case DuplicateJobError():
            detail = "A job of the payload's unique key hasn't ended."
            return Problem(409, "duplicate", detail, job=error.id)
        case JobConflictError():
            fields = sorted({shown_name(name) for name in error.fields})
            detail = "The key belongs to a job with another payload."
            return Problem(409, "id-taken", detail, fields=fields)
        case QueueFull():
            detail = "As many jobs wait as the task allows: send again later."
            return Problem(429, "queue-full", detail, {"retry-after": str(STORE_SECONDS)})
        case PayloadMissingError():
            return Problem(410, "result-missing", "The job's result isn't there any more.")
        case JobStoreError():
            detail = (
                "The store of jobs doesn't answer. A job may have been stored: repeat the request "
                f"with the same {send_parameters.ID_HEADER}."
            )
            return Problem(503, "store", detail, {"retry-after": str(STORE_SECONDS)})
    raise error


def _json(members: dict[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    return json.dumps(members).encode(), status, {"content-type": payloads.JSON, **headers}


def _query(request: Any) -> dict[str, list[str]]:
    return dict(request.args.lists())
