"""How a collection differs from the files that would be written now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from ucam_faas.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that differs.

    Args:
        file: its path in the folder.
        is_missing: it isn't there.
        diff: from the file to the template; `git apply` and `patch -p1` take it.
    """

    file: str
    is_missing: bool
    diff: str


def compare(folder: Path, texts: Mapping[str, str]) -> list[Drift]:
    """Return the files in a folder that differ from these texts.

    Raises:
        ConfigurationError: a file can't be read.
    """
    drifts = []
    for path, text in texts.items():
        present = read(folder / path)
        if present != text:
            drifts.append(Drift(path, present is None, _diff(path, present, text)))
    return drifts


def read(file: Path) -> str | None:
    """Return the text of a file; None: it isn't there.

    Raises:
        ConfigurationError: it can't be read.
    """
    try:
        return file.read_bytes().decode() if file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read: {error}.") from error


def _diff(path: str, present: str | None, text: str) -> str:
    old = "/dev/null" if present is None else f"a/{path}"
    lines = unified_diff(_lines(present or ""), _lines(text), old, f"b/{path}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    """Split a text at line feeds only, as patches do."""
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]
