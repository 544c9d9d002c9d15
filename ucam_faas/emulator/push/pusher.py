"""Push subscriptions: messages are sent as HTTP requests, and the response acknowledges them.

Source: Google's page "Push subscriptions" (response codes, slow start, push backoff).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ucam_faas.clock import Timer
from ucam_faas.emulator.core.lease import Holder, Lease
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.push import request
from ucam_faas.emulator.push.client import Endpoint, post
from ucam_faas.emulator.push.tokens import MakeToken

logger = logging.getLogger("ucam_faas.emulator")

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
FIRST_WINDOW, LAST_WINDOW = 4, 100
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 60.0
MARGIN_SECONDS = 5.0
"""A lease outlives its request by this much: the missing answer is the failure, once."""


class Pusher:
    """Pushes one subscription's messages.

    Args:
        hub: offers the messages.
        queue: the subscription's.
        proto: the subscription.
        make_token: signs the tokens of requests.
    """

    def __init__(self, hub: Hub, queue: Queue, proto: Any, make_token: MakeToken) -> None:
        self.queue = queue
        self.hub = hub
        self._make_token = make_token
        self.holder = Holder()
        self._tasks: set[asyncio.Task[None]] = set()
        self._window = FIRST_WINDOW
        self._backoff = 0.0
        self._resume_at = 0.0
        self._failures = 0
        self.paused = False
        self._timer: Timer | None = None
        self._proto = proto
        self.name: str = proto.name.rpartition("/")[2]
        """The subscription's short name."""
        self._endpoint = Endpoint(proto.push_config.push_endpoint)
        self.configure(proto)
        hub.join(queue, self)

    def configure(self, proto: Any) -> None:
        """Push as a subscription says from now on."""
        if proto.push_config.push_endpoint != self._proto.push_config.push_endpoint:
            self._backoff = 0.0  # it was the other endpoint that failed
            if self._timer is not None:
                self._timer.cancel()
                self._resume()
        self._proto = proto
        self._endpoint.close()
        self._endpoint = Endpoint(proto.push_config.push_endpoint)
        self._seconds = float(proto.ack_deadline_seconds)
        self.holder.ack_deadline = self._seconds + MARGIN_SECONDS

    def close(self) -> None:
        """Stop; unanswered messages are delivered again."""
        self.hub.leave(self.queue, self)
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._endpoint.close()
        self.hub.engine.release(self.queue, self.holder)

    def hurry(self) -> int:
        """Hold back no longer, and return how many messages waited for their backoff to end."""
        self._backoff = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._resume()
        return self.queue.hurry(self.hub.now())

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._tasks)

    @property
    def busy(self) -> bool:
        """It sends something, or will before any time has to pass."""
        return bool(self._tasks) or (self.queue.has_more and self._timer is None)

    @property
    def resumes_at(self) -> float | None:
        """When the push backoff ends, in steady seconds; None: it is not held back."""
        return None if self._timer is None else self._resume_at

    def offer(self) -> None:
        """Send as much as the window allows, unless it is time to hold back."""
        room = self._window - len(self._tasks)
        if room <= 0 or self._timer is not None or self.paused:
            return
        now = self.hub.now()
        for lease in self.hub.engine.take(self.queue, now, self.holder, room):
            task = asyncio.ensure_future(self._push(lease, self._failures))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _push(self, lease: Lease, failures: int) -> None:
        status = await self.send(lease)
        self._adapt(status in ACKNOWLEDGED, failures)
        self._tasks.discard(asyncio.current_task())
        self.conclude(lease, status)

    async def send(self, lease: Lease) -> int | str:
        """Send a message, and return the status of the response, or the reason for none."""
        observer, name = self.hub.engine.observer, self._proto.name
        try:
            observer.delivered(name, lease.message, lease.attempt)
            headers, body = self._request(lease)
            return await post(self.hub.clock, self._seconds, self._endpoint, headers, body)
        except asyncio.CancelledError:  # the subscription is gone, or it is the end
            observer.cancelled(name, lease.message)
            raise
        except Exception as error:  # without a request there is no answer: a failure
            logger.exception("ucam_faas_emulator_error")
            return f"the request could not be made: {error}"

    def conclude(self, lease: Lease, status: int | str) -> None:
        """Acknowledge a message, or deliver it again, as the response says."""
        now, engine, rules = self.hub.now(), self.hub.engine, self.queue.rules
        ids, message = [lease.ack_id], lease.message
        if status in ACKNOWLEDGED:
            engine.ack(self.queue, ids, now)
            engine.observer.acknowledged(self._proto.name, message, lease.attempt, status=status)
        else:
            last = 0 < rules.max_attempts <= lease.attempt
            delay = max(rules.backoff(lease.attempt), self._backoff)
            engine.observer.failed(
                self._proto.name,
                message,
                lease.attempt,
                status=status,
                retry_seconds=None if last else delay,
            )
            engine.modify(self.queue, ids, 0, now)
        self.hub.changed()

    def _request(self, lease: Lease) -> tuple[bytes, bytes]:
        config, name = self._proto.push_config, self._proto.name
        if config.HasField("no_wrapper"):
            metadata = config.no_wrapper.write_metadata
            headers, body = request.unwrapped(lease.message, name, metadata=metadata)
        else:
            counted = self._proto.HasField("dead_letter_policy")
            attempt = lease.attempt if counted else None
            headers, body = request.wrapped(lease.message, name, attempt=attempt)
        if config.HasField("oidc_token"):
            token = config.oidc_token
            audience = token.audience or config.push_endpoint
            signed = self._make_token(token.service_account_email, audience)
            headers += f"Authorization: Bearer {signed}\r\n".encode()
        return headers, body

    def _adapt(self, good: bool, failures: int) -> None:
        """Open the window on success; on failure narrow it, and hold back for a while."""
        if good:
            self._window = min(self._window + 1, LAST_WINDOW)
            self._backoff = 0.0
            return
        if failures != self._failures:
            return  # it was sent before the last failure: one burst counts once
        self._failures += 1
        self._window = max(self._window // 2, 1)
        self._backoff = min(max(2 * self._backoff, MIN_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS)
        self._resume_at = self.hub.clock.monotonic() + self._backoff
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.hub.clock.call_later(self._backoff, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self.hub.wake(self.queue)
