"""Which subscriptions push: a pusher for each, started, changed and stopped with it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.core.lease import State
from ucam_faas.emulator.hub import Hub
from ucam_faas.emulator.push.client import refuse_remote
from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.emulator.push.tokens import MakeToken

logger = logging.getLogger("ucam_faas.emulator")
MakePusher = Callable[..., Pusher]


class PushSubscriptions:
    """The pushers of all push subscriptions, kept in step with them.

    Args:
        hub: offers the messages.
        resources: the subscriptions.
        make_token: signs the tokens of requests.
        make_pusher: makes each pusher, from the arguments of `Pusher`.
        allow_remote: push to other machines, too.
    """

    def __init__(
        self,
        hub: Hub,
        resources: Resources,
        make_token: MakeToken,
        make_pusher: MakePusher,
        *,
        allow_remote: bool,
    ) -> None:
        self._hub = hub
        self._resources = resources
        self._make_token = make_token
        self._make_pusher = make_pusher
        self._allow_remote = allow_remote
        self.pushers: dict[str, Pusher] = {}
        """By the subscriptions' full names."""
        self._paused = False

    def busy(self) -> list[str]:
        """Return the subscriptions that send something, or will before any time has to pass."""
        return [name for name, pusher in self.pushers.items() if pusher.busy]

    def sending(self) -> list[str]:
        """Return the subscriptions that wait for an answer."""
        return [name for name, pusher in self.pushers.items() if pusher.in_flight]

    def failing(self, attempts: int) -> list[str]:
        """Return the subscriptions with a message that has failed more often than this."""
        return [
            name.rpartition("/")[2]
            for name, pusher in self.pushers.items()
            if any(entry.failures > attempts for entry in pusher.queue.entries.values())
        ]

    def next_due(self) -> float | None:
        """Return when the next backoff ends, in epoch seconds; None: nothing waits for one."""
        dues = [pusher.resumes_at for pusher in self.pushers.values()]
        for pusher in self.pushers.values():
            entries = pusher.queue.entries.values()
            dues += [entry.due for entry in entries if entry.state is State.DELAYED]
        due = min((due for due in dues if due is not None), default=None)
        now = self._hub.now()
        return None if due is None else now.wall + (due - now.steady)

    def check(self, name: str) -> None:
        """Start, change or stop pushing, as a subscription now says."""
        resource = self._resources.subscriptions.get(name)
        pusher = self.pushers.get(name)
        queue = None if resource is None else resource.queue
        pushes = queue is not None and queue.rules.pushes
        if resource is not None and pushes and not self._allow_remote:
            wrong = refuse_remote(resource.proto.push_config.push_endpoint)
            if wrong:
                logger.warning("ucam_faas_emulator_does_not_push %s: %s", name, wrong)
                pushes = False
        if pusher is not None and (not pushes or pusher.queue is not queue):
            self.pushers.pop(name).close()
            pusher = None
        if resource is not None and queue is not None and pushes:
            if pusher is not None:
                pusher.configure(resource.proto)
            else:
                pusher = self._make_pusher(self._hub, queue, resource.proto, self._make_token)
                pusher.paused = self._paused
                self.pushers[name] = pusher

    def pause(self) -> None:
        """Send nothing new."""
        self._paused = True
        for pusher in self.pushers.values():
            pusher.paused = True

    def resume(self) -> None:
        """Send again."""
        self._paused = False
        for pusher in self.pushers.values():
            pusher.paused = False
            self._hub.wake(pusher.queue)

    def hurry(self) -> int:
        """Deliver messages that wait for a backoff at once, and return their number."""
        count = sum(pusher.hurry() for pusher in self.pushers.values())
        self._hub.changed()
        return count

    def close(self) -> None:
        """Stop all."""
        for pusher in self.pushers.values():
            pusher.close()
        self.pushers.clear()
