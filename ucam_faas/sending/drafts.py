"""A job before it is sent: its options and its payload are checked, and it has an id."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.execution import traces
from ucam_faas.execution.hops import onward
from ucam_faas.execution.lanes import lane_for
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import MAX_ACK_DEADLINE_SECONDS
from ucam_faas.jobs import limits, send_options
from ucam_faas.jobs.rows import Key, Row, check_size, name_of
from ucam_faas.jobs.sweep import AGAIN_SECONDS
from ucam_faas.publishing.messages import check_message, message_attributes
from ucam_faas.sending.children import Parent, child_id
from ucam_faas.sending.publication import NO_PAYLOAD, data_of
from ucam_faas.sending.sender import Target, check_destination
from ucam_faas.tasks.job_policy import JobPolicy
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.tasks.topics import inbox_of

_OF_STORES = ("unique", "max_pending", "limit")
"""A task's options that need a store."""


@dataclass(frozen=True, slots=True)
class Drafter:
    """Makes the rows of jobs for one task, with the same options.

    Args:
        task: None: this process doesn't have it, and only its name is known.
        lane: the lane of the task that gets them.
        inbox: the full name of the lane's inbox.
        id_of: from a payload to its id, in place of the option.
        parent: the execution that sends.
        wait: the seconds until a job may start.
    """

    here: Runtime
    name: str
    task: Task | None
    lane: str
    inbox: str
    options: Mapping[str, Any]
    id_of: Callable[[Any], object] | None
    parent: Parent | None
    wait: float

    @property
    def jobs(self) -> JobPolicy:
        """The task's rules for its jobs."""
        return JobPolicy() if self.task is None else self.task.jobs

    @property
    def holder(self) -> Row | None:
        """The claimed job that sends, if one does."""
        return None if self.parent is None else self.parent.row

    def row(self, payload: Any) -> Row:
        """Return the row of a payload's job.

        Raises:
            TypeError: the payload can't be serialised for the task.
            ValueError: the task's parser rejects it, Pub/Sub would the message, or the store the
                job.
        """
        data, attributes = _data(self, payload, self.options.get("attributes"))
        ordering_key = self.options.get("ordering_key", "")
        check_message(data, attributes, ordering_key)
        ttl = self.options.get("ttl")
        unique, limit = self.jobs.unique, self.jobs.limit
        order = ordering_key or None
        row = Row(
            key=Key(self.here.settings.app, self.name, self._id(data, attributes)),
            payload=data,
            attributes=attributes,
            ordering_key=ordering_key,
            lane=self.lane,
            options=send_options.stored(
                self.options, self.jobs, onward(), traces.current(self.here)
            ),
            source="" if self.parent is None else self.parent.task,
            parent=None if self.holder is None else name_of(self.holder.key),
            unique=unique and send_options.key_text("unique", unique, self._parsed(data)),
            limit_key=order if limit is None else limits.key_of(limit, self._parsed(data)),
            in_order=order is not None,
            owner=os.urandom(16).hex(),
            expires=None if ttl is None else ttl.total_seconds(),
            visit=self.wait or AGAIN_SECONDS,
        )
        store = self.here.jobs()
        if store is not None:
            check_size(row, store.max_bytes)
        return row

    def _id(self, data: bytes, attributes: Mapping[str, str]) -> str:
        if self.options.get("id") is not None:
            return str(self.options["id"])
        function = self.id_of or self.jobs.id
        if function is None:
            app = self.here.settings.app
            return child_id(self.parent, app, self.name, data, attributes)
        id = send_options.key_text("id", function, self._parsed(data))
        send_options.check_id(id)
        return id

    def _parsed(self, data: bytes) -> Any:
        """Return the payload as the task's function gets it."""
        task = self.task
        if task is None or task.kind is not Kind.MESSAGE or task.parse is None:
            return data
        return Context().run(task.parse, data)  # the contexts are those of another message


def drafter(
    here: Runtime,
    target: Target,
    options: Mapping[str, Any],
    parent: Parent | None,
    id_of: Callable[[Any], object] | None = None,
) -> Drafter:
    """Check the options of a sending, and return the maker of its rows.

    Raises:
        TaskDefinitionError: nothing can be sent to the task.
        TypeError: an option has a value of another type.
        ValueError: an option has a value that can't be used.
        NoJobStoreError: an option needs a store.
    """
    task = target if isinstance(target, Task) else None
    name = target if isinstance(target, str) else target.name
    if task is not None:
        _check_can_be_sent_to(task)
    longest = MAX_ACK_DEADLINE_SECONDS if task is None else task.policy.served_timeout_seconds
    send_options.check_options(options, longest)
    _check_store(here, task, options)
    store = here.jobs()
    _check_limit(task, options)
    wait = 0.0 if store is None else send_options.wait_of(options, store.now)
    check_destination(here, name)
    here.outgoing()  # a missing publisher is an error before anything is stored
    if wait:
        here.delays()  # so is a wrong name of a queue
    lane = lane_for(target, options.get("lane"))
    topic = here.full_topic(inbox_of(name, lane), name)
    return Drafter(here, name, task, lane, topic, options, id_of, parent, wait)


def _check_can_be_sent_to(task: Task) -> None:
    if task.trigger is None:
        raise TaskDefinitionError(
            f"{task.name!r} is an HTTP task, and takes no jobs: send a request to {task.path}, or "
            "move its work to a @message_handler, and send to that."
        )
    if task.batch is not None:
        raise TaskDefinitionError(
            f"{task.name!r} takes batches of messages, and no jobs: publish(…) to it, or make it a "
            "@message_handler, and send to that."
        )
    if task.run_as == "cloud-run-job":
        raise TaskDefinitionError(
            f"{task.name!r} is a Cloud Run job, and takes no jobs: run it with `gcloud run jobs "
            f"execute {task.name}`, on a laptop with `ucam-faas run {task.name}`. A task that is "
            "a service, the default of run_as=, can be sent to."
        )


def _check_store(here: Runtime, task: Task | None, options: Mapping[str, Any]) -> None:
    """Refuse options that need a store, if there is none."""
    named = [f"{name}=" for name in send_options.OF_STORES if options.get(name) is not None]
    jobs = JobPolicy() if task is None else task.jobs
    named += [f"the task's {name}=" for name in _OF_STORES if getattr(jobs, name)]
    if named:
        here.jobs_for(f"{named[0]} can have no effect")


def _check_limit(task: Task | None, options: Mapping[str, Any]) -> None:
    """Refuse a job that would have two keys.

    Raises:
        ValueError: it would.
    """
    limit = None if task is None else task.jobs.limit
    if options.get("ordering_key") and limit is not None:
        raise ValueError(
            "ordering_key=: the task has limit=, and a job waits for one key. Leave one of them "
            "out; Limit(key, 1) runs the jobs of a key one after the other."
        )


def _data(
    drafts: Drafter, payload: Any, attributes: Mapping[str, str] | None
) -> tuple[bytes, dict[str, str]]:
    if drafts.task is not None:
        return data_of(drafts.task, payload, attributes)
    if payload is NO_PAYLOAD or isinstance(payload, bytes):
        data = b"" if payload is NO_PAYLOAD else payload
        return data, message_attributes(data, attributes or {})
    if hasattr(payload, "SerializeToString"):  # a protobuf message
        return bytes(payload.SerializeToString()), dict(attributes or {})
    try:
        return to_json(payload, by_alias=True), dict(attributes or {})
    except PydanticSerializationError as error:
        raise TypeError(
            f"A payload of type {type(payload).__name__} can't be serialised for the task "
            f"{drafts.name!r}, which isn't known in this process: send JSON values, or bytes."
        ) from error
