"""Turns events into rows, and writes those of a batch in one transaction.

A delivery that begins and ends within one batch is written once. The rows that were added last are
kept in memory: most events are about a message that came a moment ago.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import to_json

from ucam_faas.history.database import PLACES, transaction
from ucam_faas.history.entries import DEAD_LETTERED, DONE, FAILED, PUBLISHED, Entries, last_number
from ucam_faas.history.events import (
    Answered,
    Cancelled,
    DeadLettered,
    Delivered,
    Dropped,
    End,
    Event,
    Logged,
    Published,
    Pulled,
    Scheduled,
)
from ucam_faas.history.rows import EventKind, MessageState
from ucam_faas.history.tables import (
    Delivery,
    Rows,
    Run,
    keep_last,
    task_of,
)

LONGEST_REASON = 1_000
"""Characters of a reason that are kept."""
CLOCK_SLACK_SECONDS = 0.05
"""The clocks of two processes may differ by this."""
CANCELLED, INTERRUPTED = "cancelled", "interrupted"
"""Outcomes of deliveries that got no answer: Pub/Sub gave them up; or `dev` was killed."""
SUBSCRIPTION_ATTRIBUTE = "CloudPubSubDeadLetterSourceSubscription"
ORIGINAL_ATTRIBUTE = "ucam_faas_message_id"
"""Of a dead letter that a task published: the delivery that it gave up."""
REASON_ATTRIBUTE = "ucam_faas_reason"


class Ledger:
    """Takes events, and writes them when `flush` is called.

    Args:
        database: see `open_for_writing`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._rows = Rows(database)
        self._entries = Entries(database)
        self._letters: dict[tuple[str, str], tuple[str, str, str]] = {}
        """Topic, id and reason of those that tasks published, by the deliveries they gave up."""
        self._last_run = last_number(database, "runs")
        self._early: dict[tuple[str, str], list[Logged]] = {}
        """Lines that came before the news of their deliveries."""
        self.watermark = 0.0
        """Deliveries that began or ended before this time are known."""
        self._takers: dict[type, Callable[[Any], None]] = {
            Published: self._published,
            Delivered: self._delivered,
            Answered: self._answered,
            Pulled: self._pulled,
            Cancelled: self._cancelled,
            DeadLettered: self._dead_lettered,
            Scheduled: self._scheduled,
            Logged: self._logged,
            Dropped: self._lost,
        }
        self._recover()

    def apply(self, events: Iterable[Event]) -> None:
        """Take events, in the order in which they happened."""
        for event in events:
            if not isinstance(event, Logged | Dropped):
                self.watermark = max(self.watermark, event.time)
            self._takers[type(event)](event)

    @property
    def is_waiting(self) -> bool:
        """There are lines without their deliveries, or failures without their lines."""
        return bool(self._early) or self._entries.is_waiting

    def flush(self) -> None:
        """Write everything that was taken, in one transaction.

        Raises:
            Exception: SQLite's, or of a value that it can't hold; nothing is written, and all of it
                is forgotten.
        """
        is_written = False
        try:
            with transaction(self._db):
                self._rows.write()
                self._entries.write()
            is_written = True
        finally:
            self._entries.forget(is_written=is_written)
            self._rows.forget(is_written=is_written)
            keep_last(self._letters)

    # -- what happened to messages ------------------------------------------------------------

    def _published(self, event: Published) -> None:
        time, message_id, topic, key, attributes, data, readers = event
        text = to_json(attributes).decode()
        place = self._entries.message(message_id, time, topic, key, text, data) * PLACES
        state = MessageState.WAITING if readers else MessageState.UNREAD
        for number, subscription in enumerate(readers[:PLACES] or [None]):
            task = None if subscription is None else task_of(subscription)
            delivery = Delivery(
                place + number, message_id, time, topic, subscription, task, state, 0, "",
                len(data), None, None, [],
            )  # fmt: skip
            self._rows.add(delivery)
            if subscription is not None:
                self._entries.count(time, task or "", PUBLISHED)
        if ORIGINAL_ATTRIBUTE in attributes:
            original = attributes.get(SUBSCRIPTION_ATTRIBUTE, ""), attributes[ORIGINAL_ATTRIBUTE]
            reason = attributes.get(REASON_ATTRIBUTE, "")[:LONGEST_REASON]
            self._letters[original] = topic, message_id, reason
        task = task_of(readers[0]) if readers else ""
        text = f"{topic}, {len(data)} byte{'s' * (len(data) != 1)}"
        self._entries.event(time, EventKind.PUBLISHED, None, task, message_id, "", text)

    def _delivered(self, event: Delivered) -> None:
        time, subscription, message_id, attempt = event
        delivery = self._delivery(subscription, message_id, time)
        self._end_open(delivery, time)
        self._run(delivery, time, attempt)
        delivery.attempts = max(delivery.attempts, attempt)
        self._change(delivery, MessageState.RUNNING)
        self._take_early(subscription, message_id)

    def _answered(self, event: Answered) -> None:
        time, subscription, message_id, attempt, is_success, status, _ = event
        delivery = self._delivery(subscription, message_id, time)
        run = delivery.runs[-1] if delivery.runs else None
        if run is None or run.ended is not None:
            run = self._run(delivery, time, attempt)
            delivery.attempts = max(delivery.attempts, attempt)
        run.ended, run.status = time, status
        run.failed = run.failed or not is_success
        self._rows.change(run)
        if not is_success:
            delivery.reason = run.reason or status
        elif delivery.letter is None:
            delivery.reason = ""
        state = MessageState.DONE if is_success else MessageState.FAILED
        self._change(delivery, state)
        self._entries.count(time, run.task, FAILED if run.failed else DONE)
        kind = EventKind.FAILED if run.failed else EventKind.DONE
        self._entries.event(time, kind, run)
        self._take_early(subscription, message_id)

    def _pulled(self, event: Pulled) -> None:
        """Note the end of a message; of its attempts, all that is known is the dead letter."""
        time, subscription, message_id = event
        delivery = self._rows.delivery(subscription, message_id)
        if delivery is None or delivery.state != MessageState.WAITING:
            return
        delivery.attempts = max(delivery.attempts, 1)
        letter = self._letters.pop((subscription, message_id), None)
        if letter is None:
            self._change(delivery, MessageState.DONE)
            self._entries.count(time, delivery.task or "", DONE)
            self._entries.event(time, EventKind.DONE, delivery, "pulled")
            return
        topic, letter_id, delivery.reason = letter
        self._entries.count(time, delivery.task or "", FAILED)
        self._dead_lettered(
            DeadLettered(time, subscription, message_id, topic, letter_id), delivery.reason
        )

    def _cancelled(self, event: Cancelled) -> None:
        time, subscription, message_id = event
        delivery = self._delivery(subscription, message_id, time)
        if self._end_open(delivery, time):
            self._change(delivery, MessageState.WAITING)

    def _dead_lettered(self, event: DeadLettered, reason: str = "") -> None:
        time, subscription, message_id, topic, letter_id = event
        delivery = self._delivery(subscription, message_id, time)
        self._letters.pop((subscription, message_id), None)
        delivery.letter, delivery.died = letter_id, time
        if delivery.runs:  # of one that the task itself gave up, the answer is a success
            delivery.reason = delivery.runs[-1].reason or delivery.reason
        self._change(delivery, MessageState.DEAD_LETTERED)
        self._entries.count(time, delivery.task or "", DEAD_LETTERED)
        text = ", ".join(filter(None, (f"message {letter_id} of {topic}", reason)))
        self._entries.event(time, EventKind.DEAD_LETTERED, delivery, text)

    def _end_open(self, delivery: Delivery, time: float) -> bool:
        run = delivery.runs[-1] if delivery.runs else None
        if run is None or run.ended is not None:
            return False
        run.ended = time
        run.outcome = run.outcome or CANCELLED
        self._rows.change(run)
        return True

    def _change(self, delivery: Delivery, state: MessageState) -> None:
        if delivery.letter is not None and state is not MessageState.RUNNING:
            state = MessageState.DEAD_LETTERED
        delivery.state = state
        self._rows.change(delivery)

    def _run(self, delivery: Delivery, time: float, attempt: int) -> Run:
        run = self._new_run(time, delivery.task or "", delivery.subscription or "", delivery.id)
        run.attempt = attempt
        delivery.runs = [*delivery.runs[-1:], run]
        self._entries.event(time, EventKind.DELIVERED, run)
        return run

    def _new_run(self, time: float, task: str, subscription: str, message_id: str) -> Run:
        self._last_run += 1
        run = Run(
            self._last_run, time, None, task, subscription, message_id, "", 0, "", "", "", "", "",
            False,
        )  # fmt: skip
        self._rows.change(run)
        return run

    def _scheduled(self, event: Scheduled) -> None:
        text = "by hand" if event.is_forced else ""
        self._entries.event(event.time, EventKind.SCHEDULED, None, event.schedule, "", "", text)

    def _lost(self, event: Dropped) -> None:
        self._entries.dropped(event.number)

    # -- what the log says --------------------------------------------------------------------

    def _logged(self, line: Logged) -> None:
        place = (line.subscription, line.message_id)
        run = None if place in self._early else self._known_run(line)
        if run is None and all(place):
            self._early.setdefault(place, []).append(line)
        else:
            self._keep(line, run)

    def _take_early(self, subscription: str, message_id: str) -> None:
        """Take the lines that waited for the news of a delivery."""
        for line in self._early.pop((subscription, message_id), ()):
            self._logged(line)

    def settle(self, before: float) -> None:
        """Take the lines of executions whose deliveries didn't come.

        Args:
            before: lines of later times may still be early: they come by another way.
        """
        before = max(before, self.watermark - CLOCK_SLACK_SECONDS)
        early, self._early = self._early, {}
        for line in (line for lines in early.values() for line in lines):
            if line.time <= before:
                self._keep(line, self._known_run(line, is_settled=True))
            else:
                self._logged(line)

    def _keep(self, line: Logged, run: Run | None) -> None:
        if run is None and line.execution_id:
            run = self._rows.stored_execution(line.execution_id, line.message_id) or self._line_run(
                line
            )
        if run is not None:
            run.job_id = run.job_id or line.job_id
            self._rows.name(run, line.execution_id)
        if line.end is None:
            ids = (line.task, line.message_id, run.job_id if run else "")
            text = f"{line.severity} {line.message}"[:LONGEST_REASON]
            self._entries.event(line.time, EventKind.LOGGED, None, *ids, text)
        elif run is not None:
            self._ended(run, line, line.end)
        if line.end is None or line.fields or line.traceback:  # else its run says it all
            self._entries.line(line)

    def _line_run(self, line: Logged) -> Run:
        """Return a new run, of an execution that no push began."""
        run = self._new_run(line.began, line.task, line.subscription, line.message_id)
        run.attempt = line.attempt
        return run

    def _known_run(self, line: Logged, *, is_settled: bool = False) -> Run | None:
        """Return the run that a line belongs to, if it is one of the last."""
        run = self._rows.execution(line.execution_id)
        if run is not None and line.message_id in ("", run.message_id):
            return run
        return self._delivered_run(line, is_settled or line.time <= self.watermark)

    def _delivered_run(self, line: Logged, is_settled: bool) -> Run | None:
        if not (line.message_id and line.subscription and line.execution_id):
            return None
        delivery = self._rows.delivery(line.subscription, line.message_id)
        if delivery is None:
            return None
        for run in reversed(delivery.runs):
            if run.ended is None and not is_settled:
                return None  # it may have ended, and this be a line of the next attempt
            end = line.time if run.ended is None else run.ended
            is_during = run.began - CLOCK_SLACK_SECONDS <= line.began <= end + CLOCK_SLACK_SECONDS
            if is_during and run.execution_id in ("", line.execution_id):
                return run
        return None

    def _ended(self, run: Run, line: Logged, end: End) -> None:
        run.outcome, run.reason = end.outcome, end.reason[:LONGEST_REASON]
        run.error_type = end.error_type
        run.attempt = run.attempt or line.attempt
        delivery = None
        if run.message_id and run.subscription:
            delivery = self._rows.delivery(run.subscription, run.message_id)
        if delivery is None:
            run.began = min(run.began, line.began)
            if run.ended is None:  # else it was counted
                run.ended, run.failed = line.time, end.is_failure
                self._entries.count(line.time, run.task, FAILED if end.is_failure else DONE)
                kind = EventKind.FAILED if end.is_failure else EventKind.DONE
                self._entries.event(line.time, kind, run)
            return
        if end.is_failure and not run.failed:  # answered as handled: the task itself gave it up
            run.failed = True
            if run.ended is not None:
                self._entries.count(run.ended, run.task, DONE, -1)
                self._entries.count(run.ended, run.task, FAILED)
        if run.reason and (run.failed or delivery.letter):
            delivery.reason = run.reason
            self._rows.change(delivery)

    # -- known rows ---------------------------------------------------------------------------

    def _delivery(self, subscription: str, message_id: str, time: float) -> Delivery:
        """Return a delivery; that of a message from before the history is made."""
        delivery = self._rows.delivery(subscription, message_id)
        if delivery is None:
            number = self._entries.message(message_id, time, "", "", "{}", b"")
            delivery = Delivery(
                number * PLACES, message_id, time, "", subscription,
                task_of(subscription), MessageState.WAITING, 0, "", 0, None, None, [],
            )  # fmt: skip
            self._rows.add(delivery)
        return delivery

    def _recover(self) -> None:
        """Note what a process that was killed left behind."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE deliveries SET state = 'waiting' "
                "WHERE state = 'running' AND state <> 'done'"
            )
            self._db.execute(
                "UPDATE runs SET ended = began, outcome = ? WHERE ended IS NULL", (INTERRUPTED,)
            )
