"""Values as Terraform passes them: dicts, lists, scalars, None, and `UNKNOWN`.

A block's schema says which of a value's keys are attributes and which nested blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

Path = tuple[str | int, ...]
Place = tuple[Path, Any]


class _Unknown(Enum):
    UNKNOWN = "known after apply"


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that is not known before something is applied."""

Change = Callable[[Path, dict[str, Any], Any], Any]


def attributes_of(
    block: dict[str, Any], value: Any, path: Path = ()
) -> Iterator[tuple[Path, dict[str, Any], Any]]:
    """Yield path, schema and value of each attribute, those of nested blocks too."""
    if not isinstance(value, dict):
        return
    for name, attribute in block["attributes"].items():
        yield (*path, name), attribute, value.get(name)
    for name, nested in block["block_types"].items():
        for step, element in _elements(value.get(name)):
            yield from attributes_of(nested["block"], element, (*path, name, *step))


def change_attributes(block: dict[str, Any], value: Any, change: Change, path: Path = ()) -> Any:
    """Return the value with each attribute replaced by the result of `change`."""
    if not isinstance(value, dict):
        return value
    changed = dict(value)
    for name, attribute in block["attributes"].items():
        changed[name] = change((*path, name), attribute, value.get(name))
    for name, nested in block["block_types"].items():
        below = [
            change_attributes(nested["block"], element, change, (*path, name, *step))
            for step, element in _elements(value.get(name))
        ]
        if isinstance(value.get(name), list):
            changed[name] = below
        elif below:
            changed[name] = below[0]
    return changed


def with_all_fields(block: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return the value with every field of the schema, unset if it was missing, and no other.

    So does Google's provider with the state that an older version wrote.
    """
    fields: dict[str, Any] = {name: value.get(name) for name in block["attributes"]}
    for name, nested in block["block_types"].items():
        inner = value.get(name)
        if nested["nesting_mode"] == "single":
            fields[name] = inner and with_all_fields(nested["block"], inner)
        else:
            fields[name] = [with_all_fields(nested["block"], each) for each in inner or []]
    return fields


def places(value: Any, dotted: str, path: Path = ()) -> Iterator[Place]:
    """Yield the values at `a.b.c`, through every element of the lists on the way."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from places(element, dotted, (*path, index))
    elif not dotted:
        yield path, value
    elif isinstance(value, dict):
        name, _, rest = dotted.partition(".")
        yield from places(value.get(name), rest, (*path, name))


def is_given(value: Any) -> bool:
    """Return True if a configuration sets the value: it isn't None or an empty block."""
    return value is not None and value != [] and value != {}


def _elements(value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield (index,), element
    elif value is not None:
        yield (), value
