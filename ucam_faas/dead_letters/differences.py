"""Differences between contents: line by line, or value by value. Pure, and quick for any letter.

A payload may have 10 MB, of one line or of a million; differences are cut, and say so.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from ucam_faas.dead_letters.letters import Content

MAX_CHANGES = 100
"""Values that `changes` shows."""
MAX_COUNTED = 10_000
"""Others that it counts."""
MAX_COMPARED = 2_000
"""Lines that are compared with each other; the time grows with their square."""
MAX_LINES = 40
"""Lines of each side, where they are more."""
MAX_WIDTH = 500
"""Characters of a line, or a value."""
_AROUND = 3
"""Lines around a change."""
_HUNK = re.compile(r"@@ -(\d+)(.*?) \+(\d+)(.*) @@")
_NOTHING = object()
_SCALARS = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference between a letter and its replay: lines as `diff -u` writes them."""

    lines: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def difference(before: Content, after: Content) -> Diff:
    """Return the difference between two contents."""
    lines = [
        *_lines("attributes", _text(before.attributes), _text(after.attributes)),
        *_lines("data", _readable(before.data), _readable(after.data)),
    ]
    return Diff(tuple(map(_cut, lines)))


def changes(before: Any, after: Any) -> Iterator[str]:
    """Yield the changes between two JSON values, a line for each side of each: `- colour: "red"`,
    `+ items.0.price: 1`. After MAX_CHANGES, their number.
    """
    changed = _changed(before, after, "")
    for path, old, new in islice(changed, MAX_CHANGES):
        for sign, value in (("-", old), ("+", new)):
            if value is not _NOTHING:
                yield _cut(f"{sign} {path or 'payload'}: {json.dumps(value, ensure_ascii=False)}")
    more = sum(1 for _ in islice(changed, MAX_COUNTED))
    if more:
        yield f"and {'at least ' if more == MAX_COUNTED else ''}{more:,} more"


def _changed(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the paths of two values' innermost parts that differ, with both parts."""
    if type(before) is type(after) and _holds_others(before) and after:
        for name, old, new in _pairs(before, after):
            is_same = old is new or (type(old) is type(new) in _SCALARS and old == new)
            if not is_same:
                yield from _changed(old, new, f"{path}.{name}" if path else str(name))
    elif _holds_others(before) or _holds_others(after):
        yield from ((inner, value, _NOTHING) for inner, value in _leaves(before, path))
        yield from ((inner, _NOTHING, value) for inner, value in _leaves(after, path))
    elif type(before) is not type(after) or before != after:
        yield path, before, after


def _holds_others(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _pairs(before: Any, after: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Return the names of two objects' parts, or the indexes of two lists', with both parts."""
    if isinstance(before, dict):
        names = {**before, **after}
        return ((name, before.get(name, _NOTHING), after.get(name, _NOTHING)) for name in names)
    parts = zip_longest(before, after, fillvalue=_NOTHING)
    return ((index, old, new) for index, (old, new) in enumerate(parts))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the paths of a JSON value's parts that hold no others, each with its value."""
    if value is _NOTHING:
        return
    if not _holds_others(value):
        yield path, value
        return
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(part, f"{path}.{name}" if path else str(name))


def _lines(name: str, before: str, after: str) -> Iterable[str]:
    """Yield the lines of a unified difference; of many lines, only the first on each side."""
    if before == after:
        return
    old, new = before.splitlines(), after.splitlines()
    first = _same(zip(old, new, strict=False))
    last = _same(zip(reversed(old[first:]), reversed(new[first:]), strict=False))
    start = max(0, first - _AROUND)
    old, new = (each[start : len(each) - max(0, last - _AROUND)] for each in (old, new))
    if max(len(old), len(new)) <= MAX_COMPARED:
        titles = (f"{name} as it died", f"{name} to send")
        for line in difflib.unified_diff(old, new, *titles, lineterm=""):
            hunk = _HUNK.match(line)
            yield _moved(hunk, start) if hunk else line
        return
    yield f"--- {name} as it died"
    yield f"+++ {name} to send"
    yield f"@@ -{start + 1},{len(old)} +{start + 1},{len(new)} @@ too many lines to compare each"
    for sign, lines in (("-", old), ("+", new)):
        yield from (f"{sign}{line}" for line in lines[:MAX_LINES])
        if len(lines) > MAX_LINES:
            yield f"{sign}… {len(lines) - MAX_LINES:,} more lines"


def _same(pairs: Iterable[tuple[str, str]]) -> int:
    """Return how many first pairs are equal."""
    number = 0
    for left, right in pairs:
        if left != right:
            break
        number += 1
    return number


def _moved(hunk: re.Match[str], lines: int) -> str:
    return f"@@ -{int(hunk[1]) + lines}{hunk[2]} +{int(hunk[3]) + lines}{hunk[4]} @@"


def _cut(line: str) -> str:
    more = len(line) - MAX_WIDTH
    return line if more <= 0 else f"{line[:MAX_WIDTH]}… {more:,} more characters"


def _readable(data: bytes) -> str:
    try:
        return _text(json.loads(data))
    except (ValueError, RecursionError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\n".join(data[start : start + 16].hex(" ") for start in range(0, len(data), 16))


def _text(value: object) -> str:
    """Return a JSON value, indented, with the names of an object in order."""
    try:
        return to_json(_ordered(value), indent=2).decode()  # 10 times as fast as json.dumps
    except PydanticSerializationError:  # JSON may have half a character
        text = json.dumps(_ordered(value), indent=2, ensure_ascii=False)
        return text.encode(errors="backslashreplace").decode()


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
