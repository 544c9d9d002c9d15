"""Read the SQL of a store: statements in a `.sql` file, each after a line `-- name: NAME`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """Return the statements of a file of this folder, by name."""
    _, *parts = _NAME.split(files(__package__).joinpath(file).read_text())
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
