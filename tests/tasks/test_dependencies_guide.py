"""The Python blocks of docs/dependencies.md run as they are, to the values shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ucam_faas.tasks import registry

PAGE = Path(__file__).parents[2] / "docs/dependencies.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
SHOWN = re.compile(r"^(?P<code>.*?)  # => (?P<value>.*)$")


def test_the_code_of_the_page_runs_to_the_values_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TASKS", {})
    names: dict[str, object] = {"__name__": "main"}
    shown: list[tuple[str, str]] = []
    values: list[tuple[str, str]] = []

    for block in BLOCKS:
        rest = []
        for line in block.splitlines():
            match = SHOWN.match(line)
            if match is None:
                rest.append(line)
                continue
            exec("\n".join(rest), names)
            rest.clear()
            shown.append((line, match["value"]))
            values.append((line, str(eval(match["code"], names))))
        exec("\n".join(rest), names)

    assert len(shown) >= 7
    assert values == shown
