"""The parameters that an HTTP task's path captures, and the function's that take them.

Routes are Flask's, but Flask is imported only where one is served.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.annotations import accepts, resolve
from ucam_faas.tasks.payload_types import shown

_CAPTURED = re.compile(
    r"<(?:(?P<converter>[A-Za-z_]\w*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>[A-Za-z_]\w*)>"
)
_TYPES: dict[str, type] = {
    "default": str,
    "string": str,
    "path": str,
    "any": str,
    "int": int,
    "float": float,
    "uuid": UUID,
}
"""The types of the values that Flask's converters make ("Variable Rules")."""

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def captured_by(path: str) -> dict[str, type]:
    """Return the parameters that a path captures, with their types.

    Raises:
        TaskDefinitionError: the path has a converter that Flask doesn't have.

    >>> captured_by("/rooms/<int:room_id>/<name>")
    {'room_id': <class 'int'>, 'name': <class 'str'>}
    """
    types = {}
    for match in _CAPTURED.finditer(path):
        converter = match["converter"] or "default"
        if converter not in _TYPES:
            raise TaskDefinitionError(
                f"path={path!r}: Flask has no converter {converter!r}: expected one of "
                f"{', '.join(_TYPES)}."
            )
        types[match["name"]] = _TYPES[converter]
    return types


def of_request(function: Callable[..., Any], path: str) -> Callable[[Any], Any]:
    """Return a function of a Flask request that calls an HTTP task's function.

    Its first positional parameter takes the request, unless the path captures one of its name.
    The captured values arrive by name.

    Raises:
        TaskDefinitionError: a captured value has no parameter, a parameter has no value, or an
            annotation contradicts the path.
    """
    captured = captured_by(path)
    parameters = list(inspect.signature(function).parameters.values())
    takes_request = _takes_request(parameters, captured)
    if takes_request:
        _check_request(function, parameters[0])
    _check_parameters(function, path, captured, parameters[takes_request:])

    def call(request: Any) -> Any:
        values = request.view_args or {}
        return function(request, **values) if takes_request else function(**values)

    async def call_async(request: Any) -> Any:
        return await call(request)

    is_async = inspect.iscoroutinefunction(function)
    return functools.wraps(function)(call_async if is_async else call)


def _takes_request(parameters: list[inspect.Parameter], captured: dict[str, type]) -> bool:
    if not parameters or parameters[0].kind not in _POSITIONAL:
        return False
    return parameters[0].name not in captured


def _check_request(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    annotation = resolve(function, parameter)
    if not isinstance(annotation, type) or annotation in (Any, object, inspect.Parameter.empty):
        return
    if not any(base.__name__ == "Request" for base in annotation.__mro__):
        raise TaskDefinitionError(
            f"{_signature(function)} cannot be an HTTP task: its first parameter takes the Flask "
            f"request, and is annotated with {shown(annotation)}."
        )


def _check_parameters(
    function: Callable[..., Any],
    path: str,
    captured: dict[str, type],
    parameters: list[inspect.Parameter],
) -> None:
    named = {
        parameter.name: parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    missing = [name for name in captured if name not in named]
    if missing and not takes_all:
        raise TaskDefinitionError(
            f"{_signature(function)} cannot be an HTTP task of path={path!r}: the path captures "
            f"{missing[0]!r}, and no parameter takes it. Add a parameter {missing[0]}."
        )
    for parameter in parameters:
        needed = parameter.default is parameter.empty
        if needed and parameter.name not in captured and "VAR" not in parameter.kind.name:
            raise TaskDefinitionError(
                f"{_signature(function)} cannot be an HTTP task of path={path!r}: the path doesn't "
                f"capture {parameter.name!r}. It captures: {', '.join(captured) or 'nothing'}."
            )
    for name in captured.keys() & named.keys():
        annotation = resolve(function, named[name])
        if not isinstance(annotation, str) and not accepts(annotation, captured[name]):
            raise TaskDefinitionError(
                f"{_signature(function)} cannot be an HTTP task of path={path!r}: the path "
                f"captures {name} as {shown(captured[name])}, and the parameter is annotated with "
                f"{shown(annotation)}."
            )


def _signature(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}{inspect.signature(function)}"
