"""Drives an engine on an event loop: keeps time, saves, and hands out messages.

Work of one turn of the loop is saved together, in one transaction, before anything is answered.
Then messages go out: the published ones of a turn when the turn's answers have been handed to
their transports, so that a subscriber gets no message whose publisher has no id for it yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from ucam_faas.clock import Clock, SystemClock, Timer
from ucam_faas.emulator.core.answers import Answers
from ucam_faas.emulator.core.engine import Engine
from ucam_faas.emulator.core.moment import Moment
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError

logger = logging.getLogger("ucam_faas.emulator")

LONGEST_TIMER_SECONDS = 6 * 3600.0
"""Unused subscriptions and snapshots expire, even if nothing else happens."""


class Consumer(Protocol):
    """Takes a queue's messages."""

    def offer(self) -> None:
        """Take as many messages as wanted, but leave some for others."""


class Hub:
    """Runs turns: save, answer, deliver.

    Args:
        engine: the one to drive.
        clock: the time, and timers.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.sweepers: list[Callable[[Moment], None]] = []
        """Called every now and then, to drop expired resources."""
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self._consumers: dict[Queue, dict[Consumer, None]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._scheduled = self._offering = False
        self._timer: Timer | None = None
        self._timer_due = 0.0
        self._answers = Answers(engine.last)
        self.readers_clock: Clock = SystemClock()
        """Of clients: they take real time to read an answer, though a test may move the clock."""
        self.closed = False

    def now(self) -> Moment:
        """Return the time."""
        return Moment(self.clock.now().timestamp(), self.clock.monotonic())

    def wall_time(self) -> float:
        """Return the wall-clock time, in epoch seconds."""
        return self.clock.now().timestamp()

    def changed(self) -> None:
        """Run a turn soon."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    async def saved(self) -> None:
        """Return when all changes made until now will outlive the process.

        Raises:
            RpcError: they will not.
        """
        if self.closed:
            raise RpcError("UNAVAILABLE", "The emulator has stopped.")
        self.changed()
        future = self._loop.create_future()
        self._waiting.append(future)
        await future

    def join(self, queue: Queue, consumer: Consumer) -> None:
        """Offer a queue's messages to a consumer from now on."""
        consumers = self._consumers.setdefault(queue, {})
        consumers[consumer] = None
        queue.readers = len(consumers)
        self.wake(queue)

    def leave(self, queue: Queue, consumer: Consumer) -> None:
        """Offer nothing more to a consumer."""
        consumers = self._consumers.get(queue, {})
        consumers.pop(consumer, None)
        queue.readers = len(consumers)
        if not consumers:
            self._consumers.pop(queue, None)

    async def read(self, number: int) -> None:
        """Return when the publisher of a message has had time to read its id."""
        seconds = self._answers.unread_seconds(number, self.readers_clock.monotonic())
        if seconds <= 0:
            return
        wait = asyncio.Event()
        timer = self.readers_clock.call_later(seconds, wait.set)
        try:
            await wait.wait()
        finally:
            timer.cancel()

    def wake(self, queue: Queue) -> None:
        """Offer a queue's messages: a consumer may want more."""
        self.engine.awake[queue] = None
        self._offer_soon()

    def restart(self) -> None:
        """Replace the timer: the engine or the clock is another one."""
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
        published = self.engine.last
        try:
            self.engine.save()
        except (
            Exception
        ) as error:  # such as a full disk: callers get an error, and don't wait forever
            logger.exception("ucam_faas_emulator_error")
            failure = RpcError("INTERNAL", f"The emulator cannot go on: {error}")
            self._answer(lambda future: future.set_exception(failure))
        else:
            self._answer(lambda future: future.set_result(None))
        # The loop calls back in order: answered callers come first, and hand their
        # responses to their transports before they wait again.
        self._loop.call_soon(self._deliver, published)

    def _deliver(self, published: int) -> None:
        """Offer the messages up to a number, too."""
        self._answers.note(published, self.readers_clock.monotonic())
        self.engine.answered(published)
        self._offer()

    def _offer_soon(self) -> None:
        if not self._offering and not self.closed:
            self._offering = True
            self._loop.call_soon(self._offer)

    def _offer(self) -> None:
        """Offer the messages of awake queues to their consumers."""
        self._offering = False
        if self.closed:
            return
        awake, self.engine.awake = self.engine.awake, {}
        for queue in awake:
            consumers = self._consumers.get(queue)
            if consumers:
                for consumer in list(consumers):
                    self._offer_to(consumer)
                if len(consumers) > 1:  # next time another one is first
                    first = next(iter(consumers))
                    consumers[first] = consumers.pop(first)
        if any(queue in self._consumers for queue in self.engine.awake):
            self._offer_soon()
        self._set_timer()

    def _offer_to(self, consumer: Consumer) -> None:
        try:
            consumer.offer()
        except Exception:  # such as an unreadable disk: the other consumers get their messages
            logger.exception("ucam_faas_emulator_error")

    def _answer(self, settle: Callable[[asyncio.Future[None]], None]) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                settle(future)

    def _set_timer(self) -> None:
        now, due = self.clock.monotonic(), self.engine.next_due()
        latest = now + LONGEST_TIMER_SECONDS
        due = latest if due is None else min(due, latest)
        if self._timer is not None and self._timer_due <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        # To the microsecond: a timer of 10 s is due when 10 s have passed.
        seconds = max(0.0, round(due - now, 6))
        self._timer = self.clock.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self.now()
        now = now._replace(steady=max(now.steady, self._timer_due))
        try:
            for sweep in self.sweepers:
                sweep(now)
            self.engine.tick(now)
        finally:  # or no timer would be set again
            self.changed()
