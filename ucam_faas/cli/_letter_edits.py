"""Edits of a letter: from options, or in an editor, where it is one JSON text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ucam_faas.cli._messages import note
from ucam_faas.dead_letters.letters import Content
from ucam_faas.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Changes of the message that a replay sends.

    Args:
        data: the whole payload; None: the one that it has.
        set: values in a JSON payload, by their paths, such as `address.city` or `lines.0.sku`.
        unset: paths of the values that are removed from it.
        attributes: added, or in place of those with the same keys.
        without: keys of the attributes that are removed.
    """

    data: bytes | None = None
    set: Mapping[str, str]
    unset: Sequence[str] = ()
    attributes: Mapping[str, str]
    without: Sequence[str] = ()

    def __bool__(self) -> bool:
        options = (self.set, self.unset, self.attributes, self.without)
        return self.data is not None or any(options)

    def applied(self, content: Content) -> tuple[bytes | None, Mapping[str, str] | None]:
        """Return the new data and the new attributes; None: they stay.

        Raises:
            ConfigurationError: the payload isn't JSON, or has no such path.
        """
        data, attributes = self.data, None
        if self.set or self.unset:
            data = self._with_values(content.data if data is None else data)
        if self.attributes or self.without:
            kept = {k: v for k, v in content.attributes.items() if k not in self.without}
            attributes = {**kept, **self.attributes}
        return data, attributes

    def _with_values(self, data: bytes) -> bytes:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                "The payload isn't JSON: give all of it with --data or --file."
            ) from error
        for path, text in self.set.items():
            value = _changed(value, path.split("."), path, text)
        for path in self.unset:
            value = _changed(value, path.split("."), path, None)
        return _json(value).encode()


def _json(value: Any, indent: int | None = None) -> str:
    """Return JSON in which only halves of characters are escaped: no file can hold those."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _changed(value: Any, keys: Sequence[str], path: str, text: str | None) -> Any:
    """Return a value with another one at a path; None removes it."""
    first, *rest = keys
    if isinstance(value, dict):
        there = first in value
        if not there and (rest or text is None):
            raise _no_such(path, first)
        new = dict(value)
        key: Any = first
    elif isinstance(value, list) and first.isdecimal() and int(first) < len(value):
        new, key = list(value), int(first)  # type: ignore[assignment]
    else:
        raise _no_such(path, first)
    if rest:
        new[key] = _changed(new[key], rest, path, text)
    elif text is None:
        del new[key]
    else:
        new[key] = _value(text)
    return new


def _value(text: str) -> Any:
    """Return the JSON that an option has; other text is a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _no_such(path: str, key: str) -> ConfigurationError:
    return ConfigurationError(f"The payload has no {key!r} of {path!r}: nothing was changed.")


def in_editor(content: Content) -> tuple[bytes, Mapping[str, str]] | None:
    """Let the user edit what a replay sends, and return it; None: it wasn't changed.

    A payload in JSON that wasn't changed keeps its bytes.

    Raises:
        ConfigurationError: it can't be shown as text, or there is no terminal.
    """
    if not _is_terminal():
        raise ConfigurationError(
            "There is no terminal for an editor: give --data, --file, --set or --attribute."
        )
    is_json, shown = _shown(content.data)
    document = {"attributes": dict(content.attributes), "data": shown}
    text = _json(document, indent=2)
    while True:
        try:
            edited = click.edit(text, extension=".json")
        except click.ClickException as error:
            raise ConfigurationError(f"{error.format_message()}. Nothing was changed.") from error
        if edited is None or edited == text:
            return None
        try:
            return _read(edited, content, shown, is_json=is_json)
        except (ValueError, RecursionError) as error:
            note(f"This can't be used: {error}")
            if not click.confirm("Edit it again?", default=True, err=True):
                return None
            text = edited


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _shown(data: bytes) -> tuple[bool, Any]:
    try:
        return True, json.loads(data)
    except (ValueError, RecursionError):
        pass
    try:
        return False, data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "The payload is binary: give another one with --data or --file."
        ) from error


def _read(
    edited: str, content: Content, shown: Any, *, is_json: bool
) -> tuple[bytes, Mapping[str, str]]:
    """Return the data and the attributes of an edited text.

    Raises:
        ValueError: it has another form.
    """
    document = json.loads(edited)
    if not isinstance(document, dict) or document.keys() != {"attributes", "data"}:
        raise ValueError('the text is an object with "attributes" and "data"')
    attributes, value = document["attributes"], document["data"]
    if not isinstance(attributes, dict) or not all(
        isinstance(text, str) for text in attributes.values()
    ):
        raise ValueError('"attributes" is an object of texts')
    if json.dumps(value) == json.dumps(shown):  # 1 equals True in Python
        return content.data, attributes
    if is_json:
        return _json(value).encode(), attributes
    if not isinstance(value, str):
        raise ValueError('"data" was a text, and has to be one')
    return value.encode(), attributes
