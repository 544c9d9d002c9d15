"""The payload's type, by the annotation of the function's first parameter.

It is read once, when the function is decorated, so a mistake in it fails the import.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.arguments import takes_nothing
from ucam_faas.tasks.payload_types import plain, shown

NOT_ANNOTATED: Any = inspect.Parameter.empty

_NOT_PAYLOADS = {
    "PubsubMessage": "the message itself is ucam_faas.MESSAGE_CONTEXT.get().pubsub_message",
    "CloudEvent": "use @ucam_faas.cloud_event for a function of the event",
    "Request": 'use @ucam_faas.http(path="/…") for a function of the request',
}
_OF_LIBRARIES = ("ucam_faas", "cloudevents", "flask", "werkzeug")


def payload_annotation(function: Callable[..., Any]) -> Any:
    """Return the annotation of a function's first parameter.

    Returns:
        The type; its text where a name in it can't be resolved; or NOT_ANNOTATED.
    """
    parameters = list(inspect.signature(function).parameters.values())
    return resolve(function, parameters[0]) if parameters else NOT_ANNOTATED


def resolve(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation, or its text where a name in it can't be resolved."""
    return _resolved(function, parameter.annotation)


def _resolved(function: Callable[..., Any], annotation: Any) -> Any:
    if annotation is NOT_ANNOTATED:
        return annotation
    # On its own: a return type may be imported for type checkers only.
    holder = SimpleNamespace(__annotations__={"it": annotation})
    for local_names in (dict, _names_of_caller):
        with suppress(Exception):  # whatever the expression raises
            hints = get_type_hints(
                holder, _globals_of(function), local_names(), include_extras=True
            )
            return hints["it"]
    return annotation if isinstance(annotation, str) else str(annotation)


def _globals_of(function: Callable[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(function)
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    return getattr(function, "__globals__", {})


def _names_of_caller() -> dict[str, Any]:
    """Return the local names where the decorator is used: the function may be in another one."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
    return frame.f_locals


def _is_ours(module: Any) -> bool:
    return str(module).partition(".")[0] == "ucam_faas"


def message_type_of(function: Callable[..., Any]) -> Any:
    """Return the type of a function's payload, for `message_type=`.

    Raises:
        TaskDefinitionError: the parameter has no annotation, or none that can be resolved.
    """
    if takes_nothing(function):
        return None
    annotation = payload_annotation(function)
    if annotation is NOT_ANNOTATED or annotation is None:
        raise TaskDefinitionError(
            "@ucam_faas.message_handler needs to know the type of the messages: annotate its "
            "parameter, or write @ucam_faas.message_handler(message_type=…), with a pydantic "
            "model, a protobuf message class, a function (bytes) -> T, or None for bytes."
        )
    if isinstance(annotation, str):
        raise TaskDefinitionError(
            f"the annotation {annotation!r} of its parameter can't be resolved. Define or import "
            "its names above the function, not under TYPE_CHECKING; or write "
            "@ucam_faas.message_handler(message_type=…)."
        )
    kind = plain(annotation)
    if isinstance(kind, type) and kind.__module__.partition(".")[0] in _OF_LIBRARIES:
        hint = _NOT_PAYLOADS.get(kind.__name__)
        if hint is not None:
            raise TaskDefinitionError(
                f"it takes a {kind.__name__}, and @ucam_faas.message_handler "
                f"hands over the message's data: annotate the parameter with their type; {hint}."
            )
    return kind


def check_agrees(function: Callable[..., Any], message_type: Any) -> None:
    """Refuse a `message_type=` whose payloads the parameter's annotation rules out.

    Raises:
        TaskDefinitionError: with both.
    """
    annotation = payload_annotation(function)
    if isinstance(annotation, str) or accepts(annotation, message_type):
        return
    raise TaskDefinitionError(
        f"its parameter is annotated with {shown(annotation)}, and "
        f"message_type={shown(message_type)}. Leave message_type= out, or give the parameter "
        "the same type."
    )


def check_parsed(function: Callable[..., Any], parse: Any) -> None:
    """Refuse a parser whose result can't be of the type that the parameter is annotated with.

    Only if both are plain classes, and neither is derived from the other.

    Raises:
        TaskDefinitionError: with both.
    """
    if takes_nothing(function) or not inspect.isfunction(parse):
        return
    annotation = payload_annotation(function)
    parsed = _resolved(parse, inspect.signature(parse).return_annotation)
    if not (_is_plain(annotation) and _is_plain(parsed)):
        return
    if not (_is_a(parsed, annotation) or _is_a(annotation, parsed)):
        raise TaskDefinitionError(
            f"its parameter is annotated with {shown(annotation)}, and its parser {_named(parse)} "
            f"returns {shown(parsed)}. Give the parameter the parser's type, or choose another "
            "parser."
        )


def _is_plain(kind: Any) -> bool:
    is_open = kind in (NOT_ANNOTATED, Any, object) or getattr(kind, "_is_protocol", False)
    return isinstance(kind, type) and not is_open and not inspect.isabstract(kind)


def accepts(annotation: Any, kind: Any) -> bool:
    """Return False if no value of one type can be of another: True where it can't be known.

    Args:
        annotation: the type of a parameter.
        kind: a message type; a function counts as unknown.

    >>> accepts(int | None, int), accepts(list[int], list[str]), accepts(str, int)
    (True, False, False)
    """
    annotation, kind = plain(annotation), bytes if kind is None else plain(kind)
    is_open = annotation in (NOT_ANNOTATED, Any, object, kind) or isinstance(annotation, TypeVar)
    if is_open or kind is Any:
        return True
    wide, narrow = get_origin(annotation), get_origin(kind)
    if narrow in (Annotated, Union, UnionType):
        parts = get_args(kind)[:1] if narrow is Annotated else get_args(kind)
        return any(accepts(annotation, part) for part in parts)
    if wide in (Annotated, Union, UnionType):
        parts = get_args(annotation)[:1] if wide is Annotated else get_args(annotation)
        return any(accepts(part, kind) for part in parts)
    if not _is_a(narrow or kind, wide or annotation):
        return False
    if wide is not narrow:
        return True
    arguments = get_args(annotation), get_args(kind)
    same_number = len(arguments[0]) == len(arguments[1])
    return not same_number or all(map(accepts, *arguments))


def _is_a(kind: Any, wanted: Any) -> bool:
    if not (isinstance(kind, type) and isinstance(wanted, type)) or wanted.__module__ == "typing":
        return True  # a function, or IO[bytes]
    if wanted in (float, complex) and issubclass(kind, int | float):
        return True  # PEP 484's numeric tower
    try:
        return issubclass(kind, wanted)
    except TypeError:  # a protocol, or a TypedDict
        return True


def _named(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)
