"""A conclusion in, an HTTP response out; Flask only for values that only Flask understands."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.http_responses import DEFAULT_HTTP_RESPONSE_CREATOR
from ucam_faas.logs import problems
from ucam_faas.outcomes import (
    Answer,
    Crashed,
    DeadLetter,
    Done,
    Failed,
    InvalidPayload,
    MalformedEvent,
    Outcome,
    Retry,
    WrongEventType,
    answer,
)
from ucam_faas.serving.headers import sendable
from ucam_faas.tasks.task import Kind, Task

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", TEXT),)


def of_outcome(outcome: Outcome) -> Response:
    """Return the table's response."""
    response = _of_row(answer(outcome))
    if isinstance(outcome, Retry) and outcome.after is not None:
        seconds = str(math.ceil(outcome.after.total_seconds()))
        return replace(response, headers=(*response.headers, ("retry-after", seconds)))
    return response


@cache
def _of_row(row: Answer) -> Response:
    return Response(row.http_status, row.text.encode())


def of_execution(execution: Execution, conclusion: Conclusion) -> Response:
    """Return the response to a delivery whose execution is concluded."""
    if execution.job is not None:
        return of_outcome(conclusion.outcome)
    task = execution.task
    if task.options.make_http_response is None:
        return of_conclusion(task, conclusion)
    # In the task's contexts.
    return execution.context.copy().run(of_conclusion, task, conclusion)


def of_conclusion(task: Task, conclusion: Conclusion) -> Response:
    """Return the response to a delivery. What fails in here turns no success into a failure."""
    outcome, custom = conclusion.outcome, task.options.make_http_response
    if isinstance(outcome, Done) and isinstance(conclusion.value, Response):
        return conclusion.value
    if custom is not None and isinstance(outcome, _CUSTOMISABLE):
        try:
            value = custom(conclusion.info)
            if value is None:
                return of_outcome(Done())
            response = of_value(value)
            if isinstance(value, str | bytes | dict | list):  # it names no status: the table's
                return replace(response, status=answer(outcome).http_status)
            return response
        except KeyboardInterrupt:  # for the process, not for the task
            raise
        except BaseException as error:  # the answers of other messages may be behind this one
            problems.log_problem("ucam_faas_make_http_response_failed", error=error)
    if isinstance(outcome, Failed) and task.returns_response and conclusion.error is not None:
        text = f"The function raised {type(conclusion.error).__name__}."
        return Response(answer(outcome).http_status, text.encode())
    if isinstance(outcome, Failed) and not task.returns_response:
        fields = DEFAULT_HTTP_RESPONSE_CREATOR.fields(conclusion.info)
        if fields is not None:
            return Response(fields.status_code, fields.message.encode())
    response = of_outcome(outcome)
    if task.kind is Kind.HTTP and response.status == 500:
        return replace(response, body=b"An error occurred while handling the request")
    return response


def as_problem(response: Response) -> Response:
    """Return a refusal in plain text as `application/problem+json` (RFC 9457)."""
    if ("content-type", TEXT) not in response.headers:
        return response
    from ucam_faas.http_jobs import problems  # its task has imported it

    members = problems.standard_members(response.status, response.body.decode())
    others = [header for header in response.headers if header[0] != "content-type"]
    headers = (("content-type", problems.MEDIA_TYPE), *others)
    if response.status == 401:
        headers = (*headers, ("www-authenticate", "Bearer"))  # RFC 6750
    return Response(response.status, json.dumps(members).encode(), headers)


_CUSTOMISABLE = (Done, Failed, Crashed, DeadLetter, InvalidPayload, MalformedEvent, WrongEventType)


def converter(task: Task) -> Callable[[Any], Response] | None:
    """Return the function that turns a task's return values into responses, if they are."""
    if not task.returns_response:
        return None

    def convert(value: Any) -> Response:
        if value is None:
            return Response(200, b"" if task.kind is Kind.RAW else b"OK")
        try:
            made = _made(value)
        except Exception:  # the work is done: an invalid result doesn't undo it
            kind = type(value).__qualname__
            problems.log_problem("ucam_faas_result_is_no_response", task=task.name, type=kind)
            return Response(200)
        return made if isinstance(made, Response) else of_flask(made)

    return convert


def of_value(value: Any) -> Response:
    """Return the response for any Flask response value.

    Raises:
        TypeError: it is none.
    """
    made = _made(value)
    return made if isinstance(made, Response) else of_flask(made)


def _made(value: Any) -> Any:
    """Return our own response for plain values, and Flask's for the rest."""
    if isinstance(value, Response):
        return value
    if isinstance(value, str | bytes):
        body = value.encode() if isinstance(value, str) else value
        return Response(200, body, (("content-type", HTML),))
    if isinstance(value, dict | list):
        with suppress(TypeError, ValueError):  # Flask knows more types
            return Response(200, json.dumps(value).encode(), (("content-type", JSON),))
    return flask_response(_flask(), value)


def flask_response(app: Any, value: Any) -> Any:
    """Return Flask's response for a value, less the headers that cannot be sent.

    Raises:
        TypeError: it isn't a response, or its status isn't one of 200 to 599.
    """
    if isinstance(value, tuple) and len(value) > 1 and not isinstance(value[-1], str | int):
        value = (*value[:-1], sendable(value[-1]))  # Flask itself refuses some of them
    response = app.make_response(value)
    if not 200 <= response.status_code <= 599:
        raise TypeError(f"{response.status_code} isn't a status of a response")
    return response


def of_flask(response: Any) -> Response:
    """Return a Flask or Werkzeug response, read to its end, as ours."""
    try:
        response.direct_passthrough = False  # of files: they are read like all else
        body = response.get_data()
    finally:
        response.close()
    return Response(response.status_code, body, tuple(sendable(response.headers)))


@cache
def _flask() -> Any:
    from flask import Flask

    return Flask("ucam_faas")
