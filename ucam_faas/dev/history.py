"""How the last messages of each task went, for `ucam-faas publish --wait`.

In: the emulator's events, with the dead letters that tasks publish told as such. Out: a page of
JSON, by `TASK/MESSAGE_ID`: the attempts that failed, and how it ended.
"""

from __future__ import annotations

import json
from typing import Any

PAGE = "/ucam-faas/history"
_MOST = 1000
"""Deliveries that are kept, of those that have ended; the oldest are dropped first."""


class History:
    """An observer of the emulator."""

    def __init__(self) -> None:
        self._running: dict[str, list[dict[str, Any]]] = {}
        self._ended: dict[str, list[dict[str, Any]]] = {}

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Remember what happened to a message."""
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

    async def page(self) -> tuple[str, bytes]:
        """Return the media type and the body of the page."""
        return "application/json", json.dumps(self._running | self._ended).encode()


def _short(name: str) -> str:
    return name.rpartition("/")[2]
