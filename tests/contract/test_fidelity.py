"""docs/fidelity.md is generated from the cases of the contract suites."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/fidelity.py, imported."""
    monkeypatch.syspath_prepend(str(ROOT))
    spec = importlib.util.spec_from_file_location("fidelity", ROOT / "docs/fidelity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(
    fidelity: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fidelity.py", "--check"])

    assert fidelity.main() == 0, capsys.readouterr().out


def test_there_are_at_least_150_cases(fidelity: ModuleType) -> None:
    assert len([row for row in fidelity.behaviours() if not row.cloud_only]) >= 150
