"""A folder in which `ucam-faas dev` has served tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ucam_faas import local_state


def task(name: str, **needs: Any) -> dict[str, Any]:
    summary = f"Do {name}."
    return {
        "needs": {"name": name, "summary": summary, "topic": name, "lanes": ["default"], **needs}
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schedules = [{"name": "tidy-2", "expression": "0 3 * * *"}]
    tasks = [task("welcome"), task("weigh", lanes=["default", "slow"])]
    tasks += [task("tidy", schedules=schedules), task("www", topic=None)]
    local_state.write_tasks(tmp_path, tasks)
    return tmp_path
