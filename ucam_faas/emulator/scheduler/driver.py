"""Runs the jobs of the embedded Cloud Scheduler: publishes messages, sends requests."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from ucam_faas.emulator.core.engine import Draft
from ucam_faas.emulator.core.moment import timestamp
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.scheduler.engine import Scheduler
from ucam_faas.emulator.scheduler.jobs import Firing, Job, PubsubTarget
from ucam_faas.emulator.targets.caller import Caller
from ucam_faas.emulator.targets.target import HttpTarget
from ucam_faas.emulator.targets.timer import WallTimer

INVALID_ARGUMENT, NOT_FOUND, INTERNAL = 3, 5, 13
"""Codes of google.rpc."""
Admit = Callable[[str, Sequence[Draft]], Sequence[Draft]]
logger = logging.getLogger("ucam_faas.emulator")


class Schedules:
    """All jobs, and the timer of the next run.

    Args:
        hub: publishes, saves, and has the time.
        caller: sends the requests of HTTP targets.
        admit: returns messages as a topic's schema lets them pass, or raises RpcError.
        longest_timer: seconds; see `WallTimer`.
    """

    def __init__(self, hub: Hub, caller: Caller, admit: Admit, *, longest_timer: float) -> None:
        self._hub = hub
        self._admit = admit
        self._caller = caller
        self._tasks: set[asyncio.Task[None]] = set()
        self.scheduler = Scheduler(self._save)
        self._timer = WallTimer(
            hub, next_due=self.scheduler.next_due, fire=self._fire_due,
            set_back=self.scheduler.set_back, longest_timer=longest_timer,
        )  # fmt: skip
        jobs = self._hub.engine.storage.resources("jobs").values()
        self.scheduler.restore(
            [Job.from_dict(json.loads(job)) for job in jobs], self._hub.wall_time()
        )
        self._timer.set()

    def clear(self) -> None:
        """Delete all jobs."""
        for job in self.scheduler.list():
            self.scheduler.delete(job.name)
        self._timer.reset()

    def close(self) -> None:
        """Stop, and cancel running requests."""
        for task in self._tasks:
            task.cancel()
        self._timer.close()

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._tasks)

    def fire(self, firing: Firing) -> None:
        """Make an attempt, and report its result to the scheduler."""
        self._hub.engine.observer.scheduled(firing.job.name, forced=firing.forced)
        target = firing.job.target
        if isinstance(target, PubsubTarget):
            self._publish(firing, target)
        else:
            task = asyncio.ensure_future(self._request(firing, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _fire_due(self, now: float) -> None:
        for firing in self.scheduler.due(now):
            self.fire(firing)

    def _publish(self, firing: Firing, target: PubsubTarget) -> None:
        engine, now = self._hub.engine, self._hub.wall_time()
        if target.topic not in engine.topics:
            text = f"There is no topic {target.topic}."
            self.scheduler.finished(firing, False, now, text, NOT_FOUND)
            return
        try:
            drafts = self._admit(target.topic, [Draft("", target.attributes, target.data)])
            (message,) = engine.publish(target.topic, drafts, self._hub.now())
        except RpcError as error:
            self.scheduler.finished(firing, False, now, error.message, INVALID_ARGUMENT)
            return
        except Exception as error:  # such as a full disk; unreported, the job would never run again
            logger.exception("ucam_faas_emulator_error")
            text = f"The message could not be published: {error}"
            self.scheduler.finished(firing, False, now, text, INTERNAL)
            return
        engine.observer.schedule_published(firing.job.name, message)
        self.scheduler.finished(firing, True, now)
        self._hub.changed()

    async def _request(self, firing: Firing, target: HttpTarget) -> None:
        headers = {
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": firing.job.name.rpartition("/")[2],
            "X-CloudScheduler-ScheduleTime": timestamp(firing.scheduled_time),
        }
        if target.body and not any(name.lower() == "content-type" for name in target.headers):
            headers["Content-Type"] = "application/octet-stream"
        answer = await self._caller.call(target, firing.job.attempt_deadline, headers)
        self.scheduler.finished(firing, answer.ok, self._hub.wall_time(), answer.text, answer.code)
        self._hub.changed()

    def _save(self, name: str, job: Job | None) -> None:
        value = None if job is None else json.dumps(job.to_dict()).encode()
        self._hub.engine.storage.put("jobs", name, value)
        self._hub.changed()
        self._timer.set_soon()
