"""The path and the methods of an HTTP task."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPMethod
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.task import HEALTH_PATHS


def route_fields(path: Any, methods: Any) -> dict[str, Any]:
    """Return the fields of a task that `path=` and `methods=` decide.

    Raises:
        TaskDefinitionError: a request can't have them, or the path answers health checks.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise TaskDefinitionError(
            f"path={path!r}: expected a path that starts with /, such as /users/<id>."
        )
    if f"/{path.strip('/')}" in HEALTH_PATHS:
        raise TaskDefinitionError(f"path={path!r} answers health checks: choose another.")
    return {"path": path, "methods": _methods(methods)}


def _methods(methods: Any) -> tuple[str, ...]:
    is_list = isinstance(methods, Sequence | set | frozenset) and not isinstance(methods, str)
    if not is_list or not methods or not all(isinstance(method, str) for method in methods):
        raise TaskDefinitionError(
            f"methods={methods!r}: expected a list of HTTP methods, such as ['GET', 'POST']."
        )
    for method in methods:
        if method.upper() not in list(HTTPMethod):
            raise TaskDefinitionError(
                f"methods={methods!r}: HTTP has no method {method!r}: expected some of "
                f"{', '.join(HTTPMethod)} (RFC 9110 and RFC 5789)."
            )
    return tuple(method.upper() for method in methods)
