"""The markers of parameters that aren't the payload: dependencies, and attributes of deliveries.

A process whose tasks have none never imports this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from ucam_faas.events.context import attributes_of, contexts_of
from ucam_faas.events.model_errors import kinds
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.outcomes import DeadLetter
from ucam_faas.tasks.annotations import resolve
from ucam_faas.tasks.defer import name_of
from ucam_faas.tasks.payload_types import shown
from ucam_faas.tasks.task import Kind


@dataclass(frozen=True, slots=True)
class Depends:
    """A value that a factory makes for each execution: `Annotated[Connection, Depends(connect)]`.

    Parameters with the same factory get the same value. The factory's own parameters may have
    markers, too. A generator yields the value, and goes on when the task's function has ended; an
    exception of the function is raised where it yielded.

    Args:
        factory: a function, generator function, class or `Defer`; for async tasks also an async
            one. Of a `Defer`, the value is made once in each process.

    Raises:
        TaskDefinitionError: it can't be called, or has no hash, by which it is known.
    """

    factory: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.factory) or getattr(type(self.factory), "__hash__", None) is None:
            raise TaskDefinitionError(
                f"Depends({self.factory!r}): expected a hashable function that makes the value, "
                "such as Depends(connect)."
            )


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the message or the CloudEvent: `Annotated[str, Attribute("tenant")]`.

    pydantic reads other types than str from the text. A delivery without the attribute, or with
    another type's, is dead-lettered; a parameter with a default gets that if there is none.

    Args:
        name: of the attribute; default: the parameter's.
    """

    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise TaskDefinitionError(
                f"Attribute({self.name!r}): expected the name of an attribute, such as "
                'Attribute("tenant").'
            )


_Marker = Depends | Attribute


class Marked(NamedTuple):
    """A parameter with a marker."""

    parameter: inspect.Parameter
    annotation: Any
    marker: _Marker


def marked_parameters(function: Any) -> dict[str, Marked]:
    """Return the parameters that have a marker.

    Raises:
        TaskDefinitionError: one has it as its default, or in a text that can't be resolved.
    """
    marked = {}
    owner: Any = vars(function).get("__init__") if isinstance(function, type) else function
    for name, parameter in parameters_of(function).items():
        if isinstance(parameter.default, _Marker):
            raise TaskDefinitionError(
                f"{name_of(function)}: the marker of {name!r} is its default. Write "
                f"`{name}: Annotated[…, {type(parameter.default).__name__}(…)]`."
            )
        if parameter.annotation is inspect.Parameter.empty:
            continue
        annotation = resolve(owner, parameter)
        if isinstance(annotation, str):
            _check_unresolved(function, name, annotation)
        markers = [
            each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, _Marker)
        ]
        if markers:
            _check_marked(function, parameter, markers)
            marked[name] = Marked(parameter, annotation, markers[0])
    return marked


def parameters_of(function: Any) -> Mapping[str, inspect.Parameter]:
    """Return a function's parameters; none of a built-in one that doesn't tell them."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {}


def _check_unresolved(function: Any, name: str, annotation: str) -> None:
    if "Depends(" in annotation or "Attribute(" in annotation:
        raise TaskDefinitionError(
            f"{name_of(function)}: the annotation {annotation!r} of {name!r} can't be resolved. "
            "Define or import its names above the function, not under TYPE_CHECKING."
        )


def _check_marked(function: Any, parameter: inspect.Parameter, markers: list[_Marker]) -> None:
    problem = ""
    if len(markers) > 1:
        problem = f"has {len(markers)} markers: expected one Depends(…) or Attribute(…)"
    elif parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        problem = "has a marker: expected a parameter that can be passed by name"
    if problem:
        raise TaskDefinitionError(f"{name_of(function)}: the parameter {parameter} {problem}.")


_MISSING: Any = object()


def reader_of(marked: Marked, kind: Kind | None) -> Callable[[], Any]:
    """Return a function that reads an attribute of the running delivery.

    Raises:
        TaskDefinitionError: the task's deliveries have no attributes, or pydantic can't validate
            the type.
    """
    assert isinstance(marked.marker, Attribute), "the caller has checked"
    name, default = marked.marker.name or marked.parameter.name, marked.parameter.default
    if kind is None:
        raise TaskDefinitionError(
            f"Attribute({name!r}): a batch has many messages, each with its own attributes. Read "
            "message.attributes of the elements of its list."
        )
    if kind in (Kind.RAW, Kind.HTTP):
        raise TaskDefinitionError(
            f"Attribute({name!r}): a function of {kind.value}s gets no attributes. Use "
            "@ucam_faas.message_handler, or flask.request in an HTTP task."
        )
    validate = _validator(marked.annotation)
    takes_messages = kind is Kind.MESSAGE

    def read() -> Any:
        contexts = contexts_of(takes_messages=takes_messages, takes_events=True)
        value = attributes_of(*contexts).get(name, _MISSING)
        if value is _MISSING:
            if default is inspect.Parameter.empty:
                raise DeadLetter(f"the attribute {name!r} is missing")
            return default
        try:
            return value if validate is None else validate(value)
        except ValidationError as error:
            problem = "; ".join(problem for _, problem in kinds(error))
            raise DeadLetter(f"the attribute {name!r} is wrong: {problem}") from error

    return read


def _validator(annotation: Any) -> Callable[[Any], Any] | None:
    """Return the function that validates an attribute; None: any text will do."""
    kind, *metadata = get_args(annotation)
    if kind is str and all(isinstance(each, _Marker) for each in metadata):
        return None
    try:
        return TypeAdapter(annotation).validate_python
    except PydanticUserError as error:
        raise TaskDefinitionError(
            f"pydantic can't read {shown(kind)} from an attribute: {error.message}"
        ) from error
