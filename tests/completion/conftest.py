"""A folder in which `ucam-faas dev` has served tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ucam_faas import local_state


def task(name: str, **needs: Any) -> dict[str, Any]:
    return {"needs": {"name": name, "summary": f"Do {name}.", "lanes": ["default"], **needs}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schedules = [{"name": "tidy-2", "expression": "0 3 * * *"}]
    tasks = [task("welcome"), task("weigh", lanes=["default", "slow"])]
    local_state.write_tasks(tmp_path, [*tasks, task("tidy", schedules=schedules)])
    return tmp_path
