"""From a request's body to the data of a job's message, in the form that the task's parser reads.

A task of JSON takes JSON, a protobuf task its binary form or JSON, and any other task bytes.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from ucam_faas.events import model_errors
from ucam_faas.http_jobs.problems import Problem
from ucam_faas.publishing.payloads import RejectedPayloadError, serialise
from ucam_faas.tasks.payload_types import is_json, protobuf_class
from ucam_faas.tasks.task import Kind, Task

JSON, PROTOBUF = "application/json", "application/protobuf"
_IS_JSON = re.compile(r"application/([\w.+-]+\+)?json")
_IS_PROTOBUF = re.compile(r"application/(x-|vnd\.google\.)?protobuf")
MAX_ERRORS = 20
"""Errors of one payload that an answer lists."""


def media_types(task: Task) -> tuple[str, ...]:
    """Return the media types of a task's payloads; none: it takes any."""
    kind = task.message_type if task.kind is Kind.MESSAGE else None
    if protobuf_class(kind) is not None:
        return (JSON, PROTOBUF)
    is_struct = hasattr(kind, "__struct_fields__")
    takes_json = is_struct or kind in (int, float) or (kind is not None and is_json(kind))
    return (JSON,) if takes_json else ()


def read(task: Task, body: bytes, content_type: str, content_encoding: str = "") -> bytes:
    """Return the data of a message, which the task's parser has accepted.

    Args:
        task: gets the message.
        body: of the request.
        content_type: its media type; nothing: the task's own.
        content_encoding: of the body.

    Raises:
        Problem: the task doesn't take the body.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if content_encoding.lower() not in ("", "identity"):
        detail = "The body has a content encoding: send it without one."
        raise Problem(415, "media-type", detail, {"accept-encoding": "identity"})
    taken = media_types(task)
    is_form = {JSON: _IS_JSON, PROTOBUF: _IS_PROTOBUF}
    if taken and media_type and not any(is_form[form].fullmatch(media_type) for form in taken):
        accepted = ", ".join(taken)
        detail = f"The task takes a body of the media type {accepted.replace(', ', ' or ')}."
        raise Problem(415, "media-type", detail, {"accept": accepted})
    if PROTOBUF in taken and not _IS_PROTOBUF.fullmatch(media_type):
        body = _binary(task.message_type, body)
    try:
        return serialise(task, body)
    except RejectedPayloadError as error:
        raise _rejected(error.reason) from error


def _binary(message_type: Any, body: bytes) -> bytes:
    """Return the binary form of a protobuf message in JSON."""
    from google.protobuf import json_format  # its task has imported it

    message = protobuf_class(message_type)()
    try:
        json_format.Parse(body, message)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise _rejected(error) from error
    return bytes(message.SerializePartialToString())


def _rejected(reason: Exception) -> Problem:
    errors = []
    if isinstance(reason, ValidationError):
        errors = [
            {"pointer": "#" + "".join(f"/{part}" for part in path), "kind": kind}
            for path, kind in model_errors.kinds(reason)[:MAX_ERRORS]
        ]
    detail = "The task doesn't take this payload."
    return Problem(422, "payload-rejected", detail, errors=errors)
