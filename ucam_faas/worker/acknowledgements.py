"""Acknowledgements and nacks of one subscription: gathered, and sent in few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ucam_faas.logs.problems import log_problem
from ucam_faas.worker import protos
from ucam_faas.worker.connection import Connection, is_passing

MAX_IDS = 1_000
"""In one request, whose limit is 512 KiB: an id has some 200 bytes."""
LINGER_SECONDS, LINGER_IDS = 0.02, 50
"""The wait for more before a call, and the answers that wait for no more: a call takes as much CPU
time as a message.
"""
CALL_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
"""Between two tries."""


class Acknowledgements:
    """Answers the messages of a subscription.

    Args:
        connection: to Pub/Sub.
        subscription: its full name.
        answered: called with the numbers of messages whose answers Pub/Sub has.
    """

    def __init__(
        self,
        connection: Connection,
        subscription: str,
        answered: Callable[[Sequence[int]], object],
    ) -> None:
        self._connection = connection
        self._subscription = subscription
        self._answered = answered
        self._acks: list[tuple[int, str]] = []
        self._nacks: list[tuple[int, str]] = []
        self._many = asyncio.Event()
        self.sending: asyncio.Task[None] | None = None
        """It ends when all answers are sent, or have failed for good; None: there are none."""

    def acknowledge(self, number: int, ack_id: str) -> None:
        """Acknowledge a message soon."""
        self._acks.append((number, ack_id))
        self._send_soon()

    def nack(self, number: int, ack_id: str) -> None:
        """Give a message back soon: the subscription's retry policy says when it comes again."""
        self._nacks.append((number, ack_id))
        self._send_soon()

    def _send_soon(self) -> None:
        if self._are_many:
            self._many.set()
        if self.sending is None:
            self.sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._acks or self._nacks:
                await self._linger()
                acks, self._acks = self._acks[:MAX_IDS], self._acks[MAX_IDS:]
                nacks, self._nacks = self._nacks[:MAX_IDS], self._nacks[MAX_IDS:]
                await self._call(acks, self._connection.acknowledge, protos.AcknowledgeRequest)
                await self._call(
                    nacks, self._connection.modify_ack_deadline, protos.ModifyAckDeadlineRequest
                )
        finally:
            self.sending = None

    @property
    def _are_many(self) -> bool:
        return len(self._acks) + len(self._nacks) >= LINGER_IDS

    async def _linger(self) -> None:
        self._many.clear()
        if not self._are_many:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._many.wait()

    async def _call(self, answers: Sequence[tuple[int, str]], call: Any, request: Any) -> None:
        """Send answers until Pub/Sub has them; it delivers a message again whose lease ends."""
        if not answers:
            return
        ids = [ack_id for _, ack_id in answers]
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await call(
                    request(subscription=self._subscription, ack_ids=ids), timeout=CALL_SECONDS
                )
                break
            except Exception as error:  # whatever gRPC raises: the later answers are still sent
                if not is_passing(error):
                    log_problem(
                        "ucam_faas_acknowledgement_failed",
                        error=error,
                        subscription=self._subscription,
                        messages=len(ids),
                    )
                    break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._answered([number for number, _ in answers])
