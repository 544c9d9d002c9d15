"""Runs the jobs of the embedded Cloud Scheduler: publishes messages, sends requests."""

from __future__ import annotations

import asyncio
import json
import logging

from ucam_faas.clock import Timer
from ucam_faas.emulator.core.engine import Draft
from ucam_faas.emulator.core.moment import timestamp
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.push.client import Endpoint, post, refuse_remote
from ucam_faas.emulator.push.tokens import MakeToken
from ucam_faas.emulator.scheduler.engine import Scheduler
from ucam_faas.emulator.scheduler.jobs import Firing, HttpTarget, Job, PubsubTarget

NOT_FOUND, PERMISSION_DENIED, INTERNAL, UNAVAILABLE = 5, 7, 13, 14
"""Codes of google.rpc."""
SET_BACK_SECONDS = 60.0
"""By so much at once, the wall clock was set back; by less, it was adjusted."""
logger = logging.getLogger("ucam_faas.emulator")

_OURS = ("host", "content-length", "user-agent", "connection", "transfer-encoding")
_DROPPED = ("x-google-", "x-appengine-", "x-cloudscheduler")


class Schedules:
    """All jobs, and the timer of the next run.

    Args:
        hub: publishes, saves, and has the time.
        make_token: signs the tokens of HTTP targets.
        allow_remote: send requests to other machines, too.
        longest_timer: seconds; longer ones are set again, since timers stop while a laptop sleeps,
            and schedules don't.
    """

    def __init__(
        self,
        hub: Hub,
        make_token: MakeToken,
        *,
        allow_remote: bool,
        longest_timer: float,
    ) -> None:
        self._hub = hub
        self._make_token = make_token
        self._allow_remote = allow_remote
        self._longest_timer = longest_timer
        self._timer: Timer | None = None
        self._ahead = self._wall_ahead()
        self._tasks: set[asyncio.Task[None]] = set()
        self.scheduler = Scheduler(self._save)
        jobs = self._hub.engine.storage.resources("jobs").values()
        self.scheduler.restore(
            [Job.from_dict(json.loads(job)) for job in jobs], self._hub.wall_time()
        )
        self._set_timer()

    def clear(self) -> None:
        """Delete all jobs."""
        for job in self.scheduler.list():
            self.scheduler.delete(job.name)
        self._ahead = self._wall_ahead()  # the clock may be another one

    def close(self) -> None:
        """Stop, and cancel running requests."""
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()

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

    def _publish(self, firing: Firing, target: PubsubTarget) -> None:
        engine, now = self._hub.engine, self._hub.wall_time()
        if target.topic not in engine.topics:
            text = f"There is no topic {target.topic}."
            self.scheduler.finished(firing, False, now, text, NOT_FOUND)
            return
        try:
            engine.publish(
                target.topic, [Draft("", target.attributes, target.data)], self._hub.now()
            )
        except Exception as error:  # such as a full disk; unreported, the job would never run again
            logger.exception("ucam_faas_emulator_error")
            text = f"The message could not be published: {error}"
            self.scheduler.finished(firing, False, now, text, INTERNAL)
            return
        self.scheduler.finished(firing, True, now)
        self._hub.changed()

    async def _request(self, firing: Firing, target: HttpTarget) -> None:
        try:
            code, text = await self._send(firing, target)
        except Exception as error:  # unreported, the job would never run again
            logger.exception("ucam_faas_emulator_error")
            code, text = INTERNAL, f"The request could not be made: {error}"
        self.scheduler.finished(firing, code == 0, self._hub.wall_time(), text, code)
        self._hub.changed()

    async def _send(self, firing: Firing, target: HttpTarget) -> tuple[int, str]:
        refused = None if self._allow_remote else refuse_remote(target.uri)
        if refused:
            return PERMISSION_DENIED, refused
        endpoint = Endpoint(target.uri, target.method)
        headers = self._headers(firing, target)
        seconds = firing.job.attempt_deadline
        status = await post(self._hub.clock, seconds, endpoint, headers, target.body)
        endpoint.close()
        if isinstance(status, int) and 200 <= status <= 299:
            return 0, ""
        return UNAVAILABLE, f"The target answered: {status}."

    def _headers(self, firing: Firing, target: HttpTarget) -> bytes:
        headers = {
            name: value
            for name, value in target.headers.items()
            if name.lower() not in _OURS and not name.lower().startswith(_DROPPED)
        }
        if target.body and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/octet-stream"
        headers |= {
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": firing.job.name.rpartition("/")[2],
            "X-CloudScheduler-ScheduleTime": timestamp(firing.scheduled_time),
        }
        if target.oidc is not None:
            audience = target.oidc.audience or target.uri
            token = self._make_token(target.oidc.service_account_email, audience)
            headers["Authorization"] = f"Bearer {token}"
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()

    def _follow_wall_clock(self) -> None:
        """Plan again if it was set back: no job waits until it is as late as it was."""
        before, self._ahead = self._ahead, self._wall_ahead()
        if before - self._ahead > SET_BACK_SECONDS:
            self.scheduler.set_back(before - self._ahead, self._hub.wall_time())

    def _wall_ahead(self) -> float:
        now = self._hub.now()
        return now.wall - now.steady

    def _save(self, name: str, job: Job | None) -> None:
        value = None if job is None else json.dumps(job.to_dict()).encode()
        self._hub.engine.storage.put("jobs", name, value)
        self._hub.changed()
        if not self._hub.closed:
            asyncio.get_running_loop().call_soon(self._set_timer)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.scheduler.next_due()
        if due is not None and not self._hub.closed:
            delay = min(max(0.0, due - self._hub.wall_time()), self._longest_timer)
            self._timer = self._hub.clock.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._follow_wall_clock()
        for firing in self.scheduler.due(self._hub.wall_time()):
            self.fire(firing)
        self._set_timer()
