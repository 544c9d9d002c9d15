"""Adoption: a task's own message becomes a job, so that it runs once.

The job's id is the message's, or the one that the task makes of the payload; of a replay, the
replay's. A duplicate doesn't run: it is acknowledged when the job has ended or waits, and delivered
again while the job runs.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from ucam_faas.execution import traces
from ucam_faas.execution.execution import Execution, Unclaimed
from ucam_faas.execution.preparation import prepare
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE
from ucam_faas.job_runs.claims import answering, store_for, why
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.jobs import limits, send_options
from ucam_faas.jobs.payloads.references import of_result, same_payload
from ucam_faas.jobs.rows import Key, Row, check_size
from ucam_faas.jobs.states import UNSUCCESSFUL, State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.outcomes import DeadLetter, Ignore, MalformedEvent, RaisedOutcome, Retry
from ucam_faas.tasks.task import Task


class Adoption(JobRun):
    """The job that a delivery becomes.

    Args:
        app: the name of the application.
        task: the delivery's.
    """

    __slots__ = ()
    is_message = True

    def __init__(self, app: str, task: Task) -> None:
        super().__init__(Key(app, task.name, ""))

    def open(self, execution: Execution) -> Any:
        """Make a job of the delivery, claim it, and return the payload.

        Raises:
            Unclaimed: it can't run now, or has run.
            DeadLetter: another message has the id.
            Exception: those of `prepare`, and of the task's `id=`.
        """
        traces.begin(execution)
        payload = prepare(execution)
        if isinstance(payload, RaisedOutcome):
            return payload  # its parser refuses it
        store = store_for(execution)
        with answering(self.key.task):
            self.key = _key(execution, payload, self.key, store)
        self._insert(execution, payload, store)
        self.enter(execution, self.claim(execution))
        return payload

    def unclaimed(self, row: Row | None) -> Unclaimed:
        """Return the stored outcome; of a job that runs, a later delivery gets it."""
        if row is None or row.state is State.STARTED:
            return Unclaimed(Retry(reason=why(row)))
        duplicate = Ignore(f"a duplicate: {why(row)}")
        if row.state is State.SUCCESS and of_result(row) is None:
            return Unclaimed(duplicate, json.loads(row.result or b"null"))
        return Unclaimed(duplicate)

    def _insert(self, execution: Execution, payload: Any, store: JobStore) -> None:
        row = _row(execution, self.key, payload)
        try:
            check_size(row, store.max_bytes)
        except ValueError as error:
            raise DeadLetter(str(error)) from None
        with answering(self.key.task):
            (there,) = store.insert([row], wait=[0.0])
        if not same_payload(there, row):
            raise DeadLetter("another payload has the id of its job")


def _key(execution: Execution, payload: Any, key: Key, store: JobStore) -> Key:
    """Return the key of the job that a message becomes.

    A replay that comes twice is one job. Of a task with `id=`, it is the job of its payload as long
    as that hasn't failed: after a failure, a replay is a job of its own.

    Raises:
        JobError: the store doesn't answer.
    """
    id_of, message = execution.task.jobs.id, execution.delivery.message
    replay = message.attributes.get(REPLAY_ID_ATTRIBUTE) if message is not None else None
    if replay is not None and not send_options.is_id(replay):
        raise MalformedEvent(f"{REPLAY_ID_ATTRIBUTE}: expected the id of a job")
    if id_of is not None:
        id = send_options.key_text("id", id_of, payload)
        send_options.check_id(id)
        key = key._replace(id=id)
        return key if replay is None else _of_replay(key, replay, store)
    if replay is not None:
        return key._replace(id=replay)
    if message is None or not message.message_id:
        raise MalformedEvent("message_id: missing, and the message's job needs it")
    return key._replace(id=message.message_id)


def _of_replay(key: Key, replay: str, store: JobStore) -> Key:
    own = key._replace(id=replay)
    if store.get(own) is not None:
        return own
    row = store.get(key)
    failed = row is not None and row.state in UNSUCCESSFUL
    if row is None or not failed or row.attributes.get(REPLAY_ID_ATTRIBUTE) == replay:
        return key
    return own


def _row(execution: Execution, key: Key, payload: Any) -> Row:
    delivery, message = execution.delivery, execution.delivery.message
    limit = execution.task.jobs.limit
    return Row(
        key=key,
        payload=delivery.body if message is None else message.data,
        attributes={} if message is None else message.attributes,
        ordering_key="" if message is None else message.ordering_key,
        lane=execution.lane,
        options=send_options.stored({}, execution.task.jobs),
        limit_key=None if limit is None else limits.key_of(limit, payload),
        owner=uuid.uuid4().hex,
        visit=AGAIN_SECONDS,
    )
