"""The description of a service of jobs, as OpenAPI 3.1, made of the tasks' schemas.

OpenAPI 3.1 has JSON Schema 2020-12, as pydantic makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ucam_faas.http_jobs import problems, send_parameters
from ucam_faas.http_jobs.payloads import JSON, media_types
from ucam_faas.jobs.results import result_type
from ucam_faas.jobs.states import State
from ucam_faas.tasks.payload_schemas import component_name, components, result_schema, schema_of
from ucam_faas.tasks.task import Task

VERSION = "3.1.0"
Object = dict[str, Any]


def document(tasks: Sequence[Task], path: str, info: Mapping[str, str]) -> Object:
    """Return the description of a service.

    Args:
        tasks: those that it sends to.
        path: that of the service.
        info: its title and version.
    """
    schemas: dict[str, Any] = {"Job": _JOB, "Sent": _SENT, "Problem": _PROBLEM}
    paths: Object = {}
    for task in tasks:
        payload = schema_of(task, values=True)
        name = f"{component_name(task.name)}.payload"
        if payload is not None and payload["format"] == "json":
            schemas |= components(payload["schema"], name)
        reference = {"$ref": f"#/components/schemas/{name}"} if name in schemas else {}
        schemas |= _job_schemas(task)
        paths |= {f"{path}{place}": item for place, item in _paths(task, reference)}
    return {
        "openapi": VERSION,
        "info": dict(info),
        "security": [{"token": []}, {}],  # on a laptop, none is needed
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An OIDC token for the service, of one of its callers.",
                }
            },
        },
    }


def _job_schemas(task: Task) -> Object:
    """Return the schema of a task's jobs, with its type of results."""
    name = component_name(task.name)
    results = components(result_schema(result_type(task)), f"{name}.result")
    result = {"anyOf": [{"$ref": f"#/components/schemas/{name}.result"}, {"type": "null"}]}
    described: Object = {"properties": {"result": {**result, "description": "After SUCCESS."}}}
    job = {"allOf": [{"$ref": "#/components/schemas/Job"}, described]}
    return {**results, f"{name}.job": job}


def _paths(task: Task, payload: Object) -> Iterator[tuple[str, Object]]:
    name = component_name(task.name)
    id = _parameter("path", "id", "Of the job.", {"type": "string", "pattern": "^[^/]+$"})
    yield (
        f"/{task.name}",
        {
            "post": {
                "operationId": f"send_{name}",
                "summary": task.summary or f"Send a job to {task.name}.",
                "parameters": [_ID_HEADER, *_send_parameters(task)],
                "requestBody": {
                    "required": not task.takes_nothing,
                    "content": {
                        form: {"schema": payload} if form == JSON else {}
                        for form in media_types(task) or ("application/octet-stream",)
                    },
                },
                "responses": {
                    "202": {
                        **_response("The job is stored.", "Sent", **_ADDRESS),
                        "links": {verb: _link(f"{verb}_{name}") for verb in ("show", "cancel")},
                    },
                    **_problems(400, 401, 409, 413, 415, 422, 429, 503),
                },
            }
        },
    )
    yield (
        f"/{task.name}/{{id}}",
        {
            "parameters": [id],
            "get": {
                "operationId": f"show_{name}",
                "summary": f"Show a job of {task.name}.",
                "parameters": [_WAIT],
                "responses": {
                    "200": _response("The job.", f"{name}.job", **{"Retry-After": _RETRY}),
                    **_problems(400, 401, 404, 410, 503),
                },
            },
        },
    )
    yield (
        f"/{task.name}/{{id}}/cancel",
        {
            "parameters": [id],
            "post": {
                "operationId": f"cancel_{name}",
                "summary": f"End a job of {task.name} that waits; ask one that runs to end.",
                "responses": {
                    "202": _response("It has ended, or will.", "Sent"),
                    **_problems(400, 401, 404, 409, 503),
                },
            },
        },
    )


def _parameter(place: str, name: str, text: str, schema: Object) -> Object:
    parameter = {"in": place, "name": name, "description": text, "schema": schema}
    return {**parameter, "required": True} if place == "path" else parameter


def _send_parameters(task: Task) -> list[Object]:
    parameters = send_parameters.of_task(task).items()
    return [_parameter("query", name, text, schema) for name, (text, schema) in parameters]


def _header(text: str, kind: str = "string") -> Object:
    return {"description": text, "schema": {"type": kind}}


def _response(text: str, schema: str, **headers: Object) -> Object:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    response = {"description": text, "content": content}
    return {**response, "headers": headers} if headers else response


def _link(operation: str) -> Object:
    return {"operationId": operation, "parameters": {"id": "$response.body#/id"}}


def _problems(*statuses: int) -> Object:
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {problems.MEDIA_TYPE: {"schema": schema}}
    return {
        str(status): {
            "description": problems.standard_members(status, "")["title"],
            "content": content,
        }
        for status in statuses
    }


_RETRY = _header(
    "Seconds until a look at the job is worth it; absent when it has ended.", "integer"
)
_ADDRESS = {"Location": _header("The job's address."), "Retry-After": _RETRY}
_ID_HEADER = _parameter(
    "header",
    send_parameters.ID_HEADER,
    "The job's id. The same request again is the same job; another payload is a conflict.",
    {"type": "string", "pattern": r"^[!#-.0-\[\]-~][ !#-.0-\[\]-~]*$", "maxLength": 1024},
)
_WAIT = _parameter(
    "query",
    "wait",
    "Seconds to wait for the end of the job before the answer.",
    {"type": "number", "minimum": 0, "maximum": send_parameters.MAX_WAIT_SECONDS},
)
_TIME: Object = {"type": ["string", "null"], "format": "date-time"}
_STATE: Object = {"type": "string", "enum": [str(state) for state in State]}
_IDENTITY: Object = {"task": {"type": "string"}, "id": {"type": "string"}}
_SENT: Object = {
    "type": "object",
    "properties": {**_IDENTITY, "state": _STATE},
    "required": ["task", "id"],
}
_JOB: Object = {
    "type": "object",
    "properties": {
        **_IDENTITY,
        "state": _STATE,
        "created": {"type": "string", "format": "date-time"},
        "due": {**_TIME, "description": "When it may start, or run again."},
        "expires": {**_TIME, "description": "When it may not start any more."},
        "ended": _TIME,
        "attempts": {"type": "integer", "description": "Failed attempts so far."},
        "cancel_requested": {"type": "boolean"},
        "progress": {"type": ["object", "null"], "description": "As the task reported it last."},
        "error": {
            "type": ["object", "null"],
            "description": "The type of its last error, also of one in storing the result.",
            "properties": {"type": {"type": "string"}},
        },
        "result": {},
    },
    "required": ["task", "id", "state", "created", "attempts", "error", "result"],
}
_PROBLEM: Object = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The kind of problem, for programs."},
        "fields": {
            "type": "array",
            "description": "Those in which a payload differs from that of its key's job.",
            "items": {"type": "string"},
        },
        "errors": {
            "type": "array",
            "description": "Of a payload.",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "kind": {"type": "string"}},
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
