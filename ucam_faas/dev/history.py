"""The last deliveries of each task, for `ucam-faas publish --wait`.

In: the emulator's events, with the dead letters that tasks publish told as such, and the tasks
whose start-up code failed. Out, for one delivery: the steps that are new since the last answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

PAGE = "/ucam-faas/history"
_MOST = 1000
"""How many finished deliveries are kept; the oldest are dropped first."""


class History:
    """The steps of each delivery: the attempts that failed, and how it ended."""

    def __init__(self) -> None:
        self._running: dict[str, list[dict[str, Any]]] = {}
        self._ended: dict[str, list[dict[str, Any]]] = {}
        self._down: dict[str, str] = {}

    def serves(self, down: Mapping[str, str]) -> None:
        """Note which tasks can't run now, and why: their start-up code failed."""
        self._down = dict(down)

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Remember an event of a message."""
        if event not in ("acknowledged", "failed", "dead_lettered"):
            return
        key = f"{_short(fields['subscription'])}/{fields['message'].number}"
        step = {"event": event, "attempt": fields.get("attempt")}
        if event == "failed":
            step |= {"status": fields["status"], "retry_seconds": fields["retry_seconds"]}
        elif event == "dead_lettered":
            step |= {"topic": _short(fields["topic"]), "message_id": str(fields["as"].number)}
        steps = self._running.setdefault(key, [])
        steps.append(step)
        if event != "failed":
            self._ended[key] = self._running.pop(key)
            while len(self._ended) > _MOST:
                del self._ended[next(iter(self._ended))]

    async def page(self, query: str) -> tuple[str, bytes]:
        """Return the media type and the body of the page.

        Args:
            query: `task` and `message` name the delivery; `after` is the number of steps that are
                known.
        """
        asked = dict(parse_qsl(query))
        task, after = asked.get("task", ""), asked.get("after", "")
        key = f"{task}/{asked.get('message', '')}"
        steps = self._running.get(key) or self._ended.get(key) or []
        new = steps[int(after) if after.isdecimal() else 0 :]
        body = {"steps": new, "down": self._down.get(task)}
        return "application/json", json.dumps(body).encode()


def _short(name: str) -> str:
    return name.rpartition("/")[2]
