"""The names of tasks, lanes and schedules that `ucam-faas dev` served last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ucam_faas import local_state, project
from ucam_faas.completion.commands import LANE, RECEIVER, SCHEDULE, TASK, TASKS
from ucam_faas.local_state import FOLDER

_SAFE = re.compile(r"[A-Za-z0-9][\w.~+%-]*", re.ASCII)
"""Shells insert a candidate without quotes, and the file may come with a cloned repository."""
_LONGEST = 80


class Names:
    """The names in a folder's list of tasks, or in that of the nearest folder above it.

    Args:
        folder: to begin with; see `project.upwards`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, kind: str, task: str = "") -> list[tuple[str, str]]:
        """Return names of a kind, each with a description.

        Args:
            kind: TASK, TASKS, RECEIVER, LANE or SCHEDULE; none for any other.
            task: whose lanes; empty: all.
        """
        finders = {
            **{TASK: _tasks, TASKS: _tasks, RECEIVER: _receivers},
            **{LANE: _lanes, SCHEDULE: _schedules},
        }
        if kind not in finders:
            return []
        helps = {
            name: _line(help)
            for needs in self._needs()
            if kind != LANE or task in ("", needs.get("name"))
            for name, help in finders[kind](needs)
            if isinstance(name, str) and _SAFE.fullmatch(name)
        }
        return sorted(helps.items())

    def _needs(self) -> Iterator[dict[str, Any]]:
        for folder in project.upwards(self._folder):
            if (folder / FOLDER / local_state.TASKS).exists():
                for task in local_state.read_tasks(folder):
                    needs = task.get("needs") if isinstance(task, dict) else None
                    if isinstance(needs, dict):
                        yield needs
                return


def _tasks(needs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    yield needs.get("name"), needs.get("summary")


def _receivers(needs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    if needs.get("topic", "") is not None:  # as of an HTTP task
        yield from _tasks(needs)


def _lanes(needs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for lane in _list(needs.get("lanes")):
        yield lane, f"of {needs.get('name')}"


def _schedules(needs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for schedule in _list(needs.get("schedules")):
        if isinstance(schedule, dict):
            yield schedule.get("name"), schedule.get("expression")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(text: Any) -> str:
    """Return a description on one line, without anything that steers a terminal."""
    line = " ".join(str(text or "").split())
    return "".join(c for c in line if c.isprintable())[:_LONGEST]
