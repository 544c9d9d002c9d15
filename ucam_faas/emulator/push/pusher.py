"""Push subscriptions: messages are sent as HTTP requests, and the response acknowledges them.

Source: Google's page "Push subscriptions" (response codes, slow start, push backoff).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.clock import Clock, Timer
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.core.engine import Observer
from ucam_faas.emulator.core.lease import Holder, Lease, State
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.push import request
from ucam_faas.emulator.push.client import ConnectionClosed, Endpoint
from ucam_faas.net.cross_site import is_this_machine

logger = logging.getLogger("ucam_faas.emulator")

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
FIRST_WINDOW, LAST_WINDOW = 4, 100
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 60.0
MARGIN_SECONDS = 5.0
"""A lease outlives its request by this much: the missing answer is the failure, once."""

MakeToken = Callable[[str, str], str]
"""From a service account's email address and an audience to an OIDC token."""


def refuse_remote(endpoint: str) -> str | None:
    """Say what is wrong with an endpoint that is not on this machine."""
    local = not endpoint or is_this_machine(urlsplit(endpoint).hostname or "")
    if local:
        return None
    return (
        f"The push endpoint {endpoint} is not on this machine. Start the emulator with "
        "--allow-remote-push to push to other machines."
    )


class Pusher:
    """Pushes one subscription's messages."""

    def __init__(
        self, hub: Hub, clock: Clock, queue: Queue, proto: Any, make_token: MakeToken,
        observer: Observer | None,
    ) -> None:  # fmt: skip
        self.queue = queue
        self._hub = hub
        self._clock = clock
        self._make_token = make_token
        self._observer = observer
        self._holder = Holder()
        self._tasks: set[asyncio.Task[None]] = set()
        self._window = FIRST_WINDOW
        self._backoff = 0.0
        self._resume_at = 0.0
        self._failures = 0
        self.paused = False
        self._timer: Timer | None = None
        self._proto = proto
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
        self._holder.ack_deadline = self._seconds + MARGIN_SECONDS

    def close(self) -> None:
        """Stop; what was sent and not answered is delivered again."""
        self._hub.leave(self.queue, self)
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._endpoint.close()
        self._hub.engine.release(self.queue, self._holder)

    def hurry(self) -> int:
        """Hold back no longer, and return how many messages waited for their backoff to end."""
        self._backoff = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._resume()
        return self.queue.hurry(self._hub.now())

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
        now = self._hub.now()
        for lease in self._hub.engine.take(self.queue, now, self._holder, room):
            task = asyncio.ensure_future(self._push(lease, self._failures))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _push(self, lease: Lease, failures: int) -> None:
        status = await self._send(lease)
        self._adapt(status in ACKNOWLEDGED, failures)
        self._conclude(lease, status)
        self._tasks.discard(asyncio.current_task())
        self._hub.changed()

    async def _send(self, lease: Lease) -> int | str:
        self._tell("delivered", lease)
        headers, body = self._request(lease)
        return await post(self._clock, self._seconds, self._endpoint, headers, body)

    def _conclude(self, lease: Lease, status: int | str) -> None:
        """Acknowledge a message, or deliver it again, as the response says."""
        now, engine, rules = self._hub.now(), self._hub.engine, self.queue.rules
        ids = [lease.ack_id]
        if status in ACKNOWLEDGED:
            engine.ack(self.queue, ids, now)
            self._tell("acknowledged", lease, status=status)
        else:
            last = 0 < rules.max_attempts <= lease.attempt
            delay = max(rules.backoff(lease.attempt), self._backoff)
            self._tell("failed", lease, status=status, retry_seconds=None if last else delay)
            engine.modify(self.queue, ids, 0, now)

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
        self._resume_at = self._clock.monotonic() + self._backoff
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(self._backoff, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._hub.wake(self.queue)

    def _tell(self, event: str, lease: Lease, **fields: Any) -> None:
        if self._observer is not None:
            known = {"message": lease.message, "attempt": lease.attempt}
            self._observer(event, {"subscription": self._proto.name, **known, **fields})


async def post(
    clock: Clock, seconds: float, endpoint: Endpoint, headers: bytes, body: bytes
) -> int | str:
    """Send a request, and return the status of the response, or what is wrong instead.

    Args:
        clock: measures the time.
        seconds: to wait for the response.
        endpoint: where it goes.
        headers: header lines.
        body: the body.
    """
    task: Any = asyncio.current_task()
    late = False

    def give_up() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = clock.call_later(seconds, give_up)
    try:
        return await endpoint.post(headers, body)
    except (OSError, ConnectionClosed) as error:
        return str(error) or type(error).__name__
    except asyncio.CancelledError:
        if not late or task.uncancel():
            raise
        return f"no response in {seconds:g} s"
    finally:
        timer.cancel()


class PushSubscriptions:
    """The pushers of all push subscriptions, kept in step with them."""

    def __init__(
        self, hub: Hub, clock: Clock, resources: Resources, make_token: MakeToken,
        observer: Observer | None = None,
        *, refuse_endpoint: Callable[[str], str | None],
    ) -> None:  # fmt: skip
        self._hub = hub
        self._clock = clock
        self._resources = resources
        self._make_token = make_token
        self._observer = observer
        self._pushers: dict[str, Pusher] = {}
        self._paused = False
        self._refuse_endpoint = refuse_endpoint  # an earlier emulator may have taken it
        self.make_pusher: Callable[..., Pusher] = Pusher
        """Makes the pushers that are started from now on."""

    def busy(self) -> list[str]:
        """Return the subscriptions that send something, or will before any time has to pass."""
        return [name for name, pusher in self._pushers.items() if pusher.busy]

    def sending(self) -> list[str]:
        """Return the subscriptions that wait for an answer."""
        return [name for name, pusher in self._pushers.items() if pusher.in_flight]

    def failing(self, attempts: int) -> list[str]:
        """Return the subscriptions with a message that has failed more often than this."""
        return [
            name.rpartition("/")[2]
            for name, pusher in self._pushers.items()
            if any(entry.failures > attempts for entry in pusher.queue.entries.values())
        ]

    def next_due(self) -> float | None:
        """Return when the next backoff ends, in epoch seconds; None: nothing waits for one."""
        dues = [pusher.resumes_at for pusher in self._pushers.values()]
        for pusher in self._pushers.values():
            entries = pusher.queue.entries.values()
            dues += [entry.due for entry in entries if entry.state is State.DELAYED]
        due = min((due for due in dues if due is not None), default=None)
        now = self._hub.now()
        return None if due is None else now.wall + (due - now.steady)

    def check(self, name: str) -> None:
        """Start, change or stop pushing, as a subscription now says."""
        found = self._resources.subscriptions.get(name)
        pusher = self._pushers.get(name)
        queue = None if found is None else found.queue
        pushes = queue is not None and queue.rules.pushes
        if found is not None and pushes:
            wrong = self._refuse_endpoint(found.proto.push_config.push_endpoint)
            if wrong:
                logger.warning("ucam_faas_emulator_does_not_push %s: %s", name, wrong)
                pushes = False
        if pusher is not None and (not pushes or pusher.queue is not queue):
            self._pushers.pop(name).close()
            pusher = None
        if found is not None and queue is not None and pushes:
            if pusher is not None:
                pusher.configure(found.proto)
            else:
                pusher = self.make_pusher(
                    self._hub, self._clock, queue, found.proto, self._make_token, self._observer
                )
                pusher.paused = self._paused
                self._pushers[name] = pusher

    def pause(self) -> None:
        """Send nothing new."""
        self._paused = True
        for pusher in self._pushers.values():
            pusher.paused = True

    def resume(self) -> None:
        """Send again."""
        self._paused = False
        for pusher in self._pushers.values():
            pusher.paused = False
            self._hub.wake(pusher.queue)

    def hurry(self) -> int:
        """Deliver at once what waits for its backoff to end; return how many messages it is."""
        count = sum(pusher.hurry() for pusher in self._pushers.values())
        self._hub.changed()
        return count

    def close(self) -> None:
        """Stop all."""
        for pusher in self._pushers.values():
            pusher.close()
        self._pushers.clear()
