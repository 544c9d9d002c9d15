"""A payload in a page: JSON indented, text as it is, other bytes as a dump; never all of 5 MB."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ucam_faas.logs.columns import printable

SHOWN_BYTES = 64 * 1024
"""Of a payload in a page; the rest is a download."""
_DUMPED_BYTES = 1024
_LONGEST_PARSED = 2 * 1024 * 1024
_MOST_OUTLINED = 200
_DEEPEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadView:
    """A payload for a page.

    Args:
        kind: `json`, `text`, `binary`, `empty` or `hidden`.
        text: to show.
        size: bytes of all.
        is_cut: the text is the beginning.
    """

    kind: str
    text: str
    size: int
    is_cut: bool = False


def shown(data: bytes, *, hidden: bool = False) -> PayloadView:
    """Return a payload for a page.

    Args:
        data: of a message or a job.
        hidden: show its keys, types and lengths only.
    """
    if not data:
        return PayloadView(kind="empty", text="", size=0)
    value = _NOT_JSON
    if len(data) <= _LONGEST_PARSED:
        with suppress(ValueError, RecursionError):
            value = json.loads(data)
    if hidden:
        text = f"{len(data)} bytes" if value is _NOT_JSON else "\n".join(outline(value))
        return PayloadView(kind="hidden", text=text, size=len(data))
    if value is not _NOT_JSON and (text := _indented(value, len(data))):
        return _cut("json", text, len(data))
    try:
        return _cut("text", _decoded(data[: SHOWN_BYTES + 4], len(data)), len(data))
    except UnicodeDecodeError:
        text = dump(data[:_DUMPED_BYTES])
        is_cut = len(data) > _DUMPED_BYTES
        return PayloadView(kind="binary", text=text, size=len(data), is_cut=is_cut)


_NOT_JSON: Any = object()


def payload_json(data: bytes, *, reveal: bool) -> dict[str, Any]:
    """Return a payload as fields of a JSON document: text, Base64, or its outline."""
    if not reveal:
        return {"outline": shown(data, hidden=True).text.splitlines()}
    try:
        return {"payload": data.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(data).decode()}


def _indented(value: Any, size: int) -> str:
    """Return the beginning of a value on indented lines; nothing where these would hide it.

    Indentation makes a deep value of 2 MB a text of gigabytes, so no more is made than is shown.

    Args:
        value: as JSON has it.
        size: bytes of its JSON.
    """
    length, parts = 0, []
    try:
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            parts.append(part)
            length += len(part)
            if length > SHOWN_BYTES:
                break
    except RecursionError:
        return ""
    return "" if length > SHOWN_BYTES >= size else "".join(parts)


def _decoded(start: bytes, size: int) -> str:
    """Return the text that data begins with; a character that was cut is left out."""
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3 or len(start) == size:
            raise
        text = start[: error.start].decode()
    if "\0" in text:
        raise UnicodeDecodeError("utf-8", start, 0, 1, "it holds NUL")
    return text


def _cut(kind: str, text: str, size: int) -> PayloadView:
    is_cut = len(text) > SHOWN_BYTES or (kind == "text" and size > SHOWN_BYTES)
    return PayloadView(kind=kind, text=visible(text[:SHOWN_BYTES]), size=size, is_cut=is_cut)


def visible(text: str) -> str:
    """Escape characters that aren't seen, or that reorder those around them; keep lines and tabs.

    >>> print(visible("a" + chr(0x202E) + "b" + chr(10) + "c"))
    a\\u202eb
    c
    """
    if text.isprintable():
        return text
    return "".join(character if character in "\n\t" else printable(character) for character in text)


def dump(data: bytes) -> str:
    """Return bytes as hexadecimal and ASCII, 16 in a line.

    >>> dump(b"ucam" + bytes([0, 255]))
    '00000000  75 63 61 6d 00 ff                                ucam..'
    """
    lines = []
    for place in range(0, len(data), 16):
        part = data[place : place + 16]
        ascii = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{place:08x}  {part.hex(' '):<48} {ascii}")
    return "\n".join(lines)


def outline(value: Any) -> list[str]:
    """Return the keys, types and lengths of a JSON value, a line each, and no value.

    >>> outline({"to": "a@b.example", "copies": [1, 2]})
    ['to: string of 11', 'copies: list of 2', 'copies[0]: number', 'copies[1]: number']
    """
    lines: list[str] = []
    _outline(value, "", lines, 0)
    if len(lines) > _MOST_OUTLINED:
        return [*lines[:_MOST_OUTLINED], "…"]
    return lines


def _outline(value: Any, path: str, lines: list[str], depth: int) -> None:
    if len(lines) > _MOST_OUTLINED or depth > _DEEPEST:
        return
    if path or not isinstance(value, dict):
        lines.append(f"{path or 'value'}: {_kind(value)}")
    if isinstance(value, dict):
        for key, child in value.items():
            _outline(child, f"{path}.{key}" if path else str(key), lines, depth + 1)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _outline(child, f"{path}[{index}]", lines, depth + 1)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return f"string of {len(value)}"
        case list():
            return f"list of {len(value)}"
    return f"object of {len(value)}"
