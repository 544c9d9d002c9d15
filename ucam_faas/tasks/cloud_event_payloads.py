"""What a `@cloud_event` function takes, by its annotation: the event, or the event's data."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_args, get_type_hints


def payload_parser(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Return what makes a function's payload of a CloudEvent; None: the event is the payload.

    A function whose parameter is annotated with `CloudEvent`, or a union with it, takes the event.
    Any other takes the event's data, as in 1.0.
    """
    return None if _is_event(_annotation(function)) else _data


def _data(event: Any) -> Any:
    return event.get_data()


def _annotation(function: Callable[..., Any]) -> Any:
    """Return the annotation of the first parameter: as text where it can't be resolved."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or not isinstance(parameters[0].annotation, str):
        return parameters[0].annotation if parameters else None
    try:
        return get_type_hints(function)[parameters[0].name]
    except Exception:  # a name that is imported for type checkers only
        return parameters[0].annotation


def _is_event(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return re.search(r"CloudEvent\b", annotation) is not None
    if isinstance(annotation, type):
        return any(_is_event_class(base) for base in annotation.__mro__)
    return any(_is_event(part) for part in get_args(annotation))


def _is_event_class(base: type) -> bool:
    """Tell without importing cloudevents, which a task that takes the data needs not."""
    return base.__name__ == "CloudEvent" and base.__module__.partition(".")[0] == "cloudevents"
