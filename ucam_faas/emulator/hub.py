"""Drives an engine on an event loop: hands out messages, keeps time, and saves.

Work of one turn of the loop is saved together, in one transaction, before anybody is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import inf
from typing import Protocol

from ucam_faas.clock import Clock, Timer
from ucam_faas.emulator.engine import Engine
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.queues import Queue

logger = logging.getLogger("ucam_faas.emulator")

LONGEST_TIMER_SECONDS = 6 * 3600.0
"""Subscriptions and snapshots that nobody uses expire, even if nothing else happens."""


class Consumer(Protocol):
    """Somebody who takes a queue's messages."""

    def offer(self) -> None:
        """Take what is wanted of what there is; little enough that others get some, too."""


class Hub:
    """Runs turns: serve, save, answer.

    Args:
        engine: what is driven.
        clock: the time, and timers.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.sweepers: list[Callable[[], None]] = []
        """Called every now and then, to drop what has expired."""
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._consumers: dict[Queue, dict[Consumer, None]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._scheduled = False
        self._timer: Timer | None = None
        self._timer_due = 0.0
        self.closed = False

    def now(self) -> float:
        """Return the wall-clock time, in epoch seconds."""
        return self._clock.now().timestamp()

    def changed(self) -> None:
        """Run a turn soon."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    async def saved(self) -> None:
        """Return when everything that was done until now will outlive the process.

        Raises:
            RpcError: it will not.
        """
        if self.closed:
            raise RpcError("UNAVAILABLE", "The emulator has stopped.")
        self.changed()
        future = self._loop.create_future()
        self._waiting.append(future)
        await future

    def join(self, queue: Queue, consumer: Consumer) -> None:
        """Offer a queue's messages to a consumer from now on."""
        self._consumers.setdefault(queue, {})[consumer] = None
        self.wake(queue)

    def leave(self, queue: Queue, consumer: Consumer) -> None:
        """Offer nothing to a consumer any more."""
        consumers = self._consumers.get(queue, {})
        consumers.pop(consumer, None)
        if not consumers:
            self._consumers.pop(queue, None)

    def wake(self, queue: Queue) -> None:
        """Offer a queue's messages: a consumer may want more."""
        self.engine.awake[queue] = None
        self.changed()

    def restart(self) -> None:
        """Set the timer anew: the engine or the clock is another one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.changed()

    def close(self) -> None:
        """Save, and run no more."""
        if not self.closed:
            self._turn()
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        self._scheduled = False
        if self.closed:
            return
        try:
            self._serve()
            self.engine.save()
        except Exception as error:  # a full disk, say: nobody may wait for ever
            logger.exception("ucam_faas_emulator_error")
            failure = RpcError("INTERNAL", f"The emulator cannot go on: {error}")
            self._answer(lambda future: future.set_exception(failure))
        else:
            self._answer(lambda future: future.set_result(None))
        if any(queue in self._consumers for queue in self.engine.awake):
            self.changed()
        self._set_timer()

    def _serve(self) -> None:
        """Offer what there is to who wants it."""
        awake, self.engine.awake = self.engine.awake, {}
        for queue in awake:
            consumers = self._consumers.get(queue)
            if consumers:
                for consumer in list(consumers):
                    consumer.offer()
                if len(consumers) > 1:  # next time somebody else is first
                    first = next(iter(consumers))
                    consumers[first] = consumers.pop(first)

    def _answer(self, settle: Callable[[asyncio.Future[None]], None]) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                settle(future)

    def _set_timer(self) -> None:
        due = min(self.engine.next_due() or inf, self.now() + LONGEST_TIMER_SECONDS)
        if self._timer is not None and self._timer_due <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        # To the microsecond, as the clock: what is due in 10 s is due when 10 s have passed.
        seconds = max(0.0, round(due - self.now(), 6))
        self._timer = self._clock.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for queue in self._consumers:
            if not queue.rules.pushes:  # somebody waits for messages
                queue.last_used = self.now()
        try:
            for sweep in self.sweepers:
                sweep()
            self.engine.tick(max(self.now(), self._timer_due))
        finally:  # or time would stand still
            self.changed()
