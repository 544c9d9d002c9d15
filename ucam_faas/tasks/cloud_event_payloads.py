"""The argument of a `@cloud_event` function, by its annotation: the event, or the event's data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from ucam_faas.tasks.annotations import payload_annotation


def payload_parser(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Return what makes a function's payload of a CloudEvent; None: the event is the payload.

    A function whose parameter is annotated with `CloudEvent`, or a union with it, takes the event.
    Any other takes the event's data, as in 1.0.
    """
    return None if _is_event(payload_annotation(function)) else _data


def _data(event: Any) -> Any:
    return event.get_data()


def _is_event(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return re.search(r"CloudEvent\b", annotation) is not None
    if isinstance(annotation, type):
        return any(_is_event_class(base) for base in annotation.__mro__)
    return any(_is_event(part) for part in get_args(annotation))


def _is_event_class(base: type) -> bool:
    """Return True for CloudEvent; cloudevents isn't imported, as a task of the data lacks it."""
    return base.__name__ == "CloudEvent" and base.__module__.partition(".")[0] == "cloudevents"
