"""The last deliveries of each task, for `publish --wait` and `schedules run`.

In: the ends of attempts, the runs of schedules, and the tasks whose start-up code failed. Out, for
one delivery: the steps that are new since the last answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from ucam_faas.emulator.core.storage import Message
from ucam_faas.tasks.needs import TaskNeeds, job_id

PAGE = "/ucam-faas/history"
_MOST = 1000
"""How many finished deliveries are kept; the oldest are dropped first."""


class History:
    """The steps of each delivery: the attempts that failed, and how it ended."""

    def __init__(self) -> None:
        self._running: dict[str, list[dict[str, Any]]] = {}
        self._ended: dict[str, list[dict[str, Any]]] = {}
        self._down: dict[str, str] = {}
        self._schedules: dict[str, str] = {}
        """The task of each schedule."""
        self._runs: dict[str, str | None] = {}
        """The message of each schedule's last run; None: there is none."""

    def serves(self, down: Mapping[str, str], plans: Sequence[TaskNeeds] = ()) -> None:
        """Note the tasks.

        Args:
            down: those that can't run now, and why: their start-up code failed.
            plans: those whose messages are delivered here.
        """
        self._down = dict(down)
        self._schedules = {
            job_id(plan, number): plan.name
            for plan in plans
            for number in range(len(plan.schedules))
        }

    def scheduled(self, job: str, message: Message | None) -> None:
        """Remember the message of a schedule's run; None: it isn't published yet."""
        self._runs[_short(job)] = None if message is None else str(message.number)

    def failed(self, subscription: str, message: Message, attempt: int, **fields: Any) -> None:
        """Remember a failed attempt, with its `status` and `retry_seconds`."""
        step = {"event": "failed", "attempt": attempt, **fields}
        self._running.setdefault(_key(subscription, message), []).append(step)

    def acknowledged(self, subscription: str, message: Message, attempt: int) -> None:
        """Remember that a delivery succeeded."""
        self._end(_key(subscription, message), {"event": "acknowledged", "attempt": attempt})

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        """Remember that a delivery ended as a dead letter."""
        place = {"topic": _short(topic), "message_id": str(letter.number)}
        step = {"event": "dead_lettered", "attempt": None, **place}
        self._end(_key(subscription, message), step)

    def _end(self, key: str, step: dict[str, Any]) -> None:
        self._ended[key] = [*self._running.pop(key, []), step]
        while len(self._ended) > _MOST:
            del self._ended[next(iter(self._ended))]

    async def page(self, query: str) -> tuple[str, bytes]:
        """Return the media type and the body of the page.

        Args:
            query: `task` and `message` name the delivery; `after` is the number of steps that are
                known. Or `schedule` names a schedule: then `run` is the delivery of its last run.
        """
        asked = dict(parse_qsl(query))
        task, after = asked.get("task", ""), asked.get("after", "")
        key = f"{task}/{asked.get('message', '')}"
        steps = self._running.get(key) or self._ended.get(key) or []
        new = steps[int(after) if after.isdecimal() else 0 :]
        body: dict[str, Any] = {"steps": new, "down": self._down.get(task)}
        schedule = asked.get("schedule", "")
        if schedule in self._schedules:
            message = self._runs.get(schedule)
            body["run"] = {"task": self._schedules[schedule], "message": message}
        return "application/json", json.dumps(body).encode()


def _key(subscription: str, message: Message) -> str:
    return f"{_short(subscription)}/{message.number}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]
