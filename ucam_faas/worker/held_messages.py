"""The messages that a worker holds: leased from their arrival until Pub/Sub has their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from ucam_faas.logs.problems import log_problem
from ucam_faas.worker.acknowledgements import Acknowledgements
from ucam_faas.worker.connection import Connection
from ucam_faas.worker.heartbeat import Heartbeat
from ucam_faas.worker.messages import Pulled
from ucam_faas.worker.sources import Source

ANSWER_SECONDS = 5.0
"""For the last answers after a signal, when the running work has ended."""


class HeldMessages:
    """Takes each message once, and answers it.

    Args:
        sources: of the messages.
        heartbeat: extends their leases.
        connection: to Pub/Sub.
    """

    def __init__(
        self, sources: Iterable[Source], heartbeat: Heartbeat, connection: Connection
    ) -> None:
        self._heartbeat = heartbeat
        self._unanswered: dict[Source, dict[str, Pulled]] = {source: {} for source in sources}
        """By source and id."""
        self._answers = {
            source: Acknowledgements(connection, source.subscription, heartbeat.release)
            for source in self._unanswered
        }
        self._numbers = count()

    def of(self, source: Source) -> Mapping[str, Pulled]:
        """Return the messages of a source that aren't answered, by their ids."""
        return self._unanswered[source]

    def take(self, source: Source, received: Iterable[Any]) -> Sequence[Pulled]:
        """Take messages in, and return those that aren't held already."""
        unanswered = self._unanswered[source]
        new: list[Pulled] = []
        again: list[Pulled] = []
        for each in received:
            pulled = Pulled(source, each, next(self._numbers))
            held = unanswered.get(pulled.id)
            if held is None:
                unanswered[pulled.id] = pulled
                new.append(pulled)
            else:  # the old lease has ended, or its stream: the message runs, or waits
                self._heartbeat.release([held.number])
                held.number, held.ack_id = pulled.number, pulled.ack_id
                again.append(held)
        self._heartbeat.hold(source, new + again)
        return new

    def answer(self, pulled: Pulled, *, acknowledged: bool) -> None:
        """Acknowledge a message, or give it back."""
        answers = self._answers[pulled.source]
        (answers.acknowledge if acknowledged else answers.nack)(pulled.number, pulled.ack_id)
        self._unanswered[pulled.source].pop(pulled.id, None)

    async def send_answers(self, is_urgent: Callable[[], bool]) -> None:
        """Wait until Pub/Sub has all answers.

        Args:
            is_urgent: returns True if a Pub/Sub that takes none isn't waited for.
        """
        unsent = {task for each in self._answers.values() if (task := each.sending) is not None}
        while unsent:
            _, unsent = await asyncio.wait(unsent, timeout=ANSWER_SECONDS)
            if unsent and is_urgent():
                log_problem("ucam_faas_answers_not_sent", subscriptions=len(unsent))
                for task in unsent:
                    task.cancel()
                return
