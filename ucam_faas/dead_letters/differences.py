"""Differences between letters and their replays, for people. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from ucam_faas.dead_letters.letters import Content


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
        *_lines("attributes", _shown(before.attributes), _shown(after.attributes)),
        *_lines("data", _readable(before.data), _readable(after.data)),
    ]
    return Diff(tuple(lines))


def _lines(name: str, before: str, after: str) -> Iterable[str]:
    if before == after:
        return []
    return difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        f"{name} as it died",
        f"{name} to send",
        lineterm="",
    )


def _readable(data: bytes) -> str:
    try:
        return _shown(json.loads(data))
    except (ValueError, RecursionError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\n".join(data[start : start + 16].hex(" ") for start in range(0, len(data), 16))


def _shown(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=isinstance(value, dict))
    return text.encode(errors="backslashreplace").decode()  # JSON may have half a character
