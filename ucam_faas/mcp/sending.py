"""Tools that check a payload, and send it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ucam_faas.backends import sending
from ucam_faas.backends.ports import Backends, KnownTask
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.history.rows import MessageState
from ucam_faas.mcp.messages import ExplainMessage
from ucam_faas.mcp.tools import Tool, ToolError, payload, task_of

PAUSE_SECONDS = 0.1
_UNDER_WAY = frozenset({MessageState.WAITING, MessageState.RUNNING})


class Sending(Tool):
    """A message for a task."""

    task: str
    """Name of the task, as list_tasks returns it."""
    payload: Any = None
    """JSON value that fits the task's schema, which show_task returns. Left out: a sample that the
    task accepts."""
    data_base64: str | None = None
    """Bytes of the message in Base64, instead of a payload."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Attributes of the message: texts by name."""
    ordering_key: str = ""
    """Ordering key of the message; empty: none."""

    def data(self, backends: Backends, task: KnownTask) -> bytes:
        """Return the data in the form in which they are sent, once the task accepts them."""
        if backends.parser is None:
            raise ToolError(backends.notice or "The tasks' code isn't known here.")
        name = task.needs.name
        data = self._data(backends.parser, task)
        errors = backends.parser.check(name, data, self.attributes, key=self.ordering_key)
        if errors:
            lines = [f"{error.name or 'the payload'}: {error.message}" for error in errors]
            raise ToolError(f"{name} doesn't take it. " + "; ".join(lines))
        return data

    def _data(self, parser: Parser, task: KnownTask) -> bytes:
        has_payload = "payload" in self.model_fields_set
        if self.data_base64 is not None:
            if has_payload:
                raise ToolError("Give payload or data_base64, and not both.")
            try:
                return base64.b64decode(self.data_base64, validate=True)
            except binascii.Error as error:
                raise ToolError(f"data_base64 isn't Base64: {error}.") from error
        text = None
        if has_payload:
            text = json.dumps(self.payload, ensure_ascii=False).encode()
        elif task.needs.sample == "":
            return b""
        return parser.formed(task.needs.name, text, task.topic_schema)


class CheckPayload(Sending):
    """Ask a task's code whether it accepts a payload; nothing is sent."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the payload as it would be sent."""
        task = task_of(backends, self.task)
        return {"accepted": True, "payload": payload(self.data(backends, task), hidden=False)}


class Publish(Sending):
    """Publish a message to a task's topic, so that all its readers get it; without a payload, a
    sample. Wait for a moment, and show how it went.
    """

    writes: ClassVar[bool] = True
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 5
    """How long to wait for the readers, at most."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Publish it, and return its id and how far it is."""
        task = task_of(backends, self.task)
        data = self.data(backends, task)
        id, topic = sending.publish(
            backends, task.needs, data, self.attributes, key=self.ordering_key
        )
        backends.log("an agent", "published", f"message {id} to {topic}")
        document = {"message_id": id, "topic": topic}
        if backends.history is None or not sending.is_noted(backends, id):
            return document
        end = backends.clock.monotonic() + self.wait_seconds
        while any(row.state in _UNDER_WAY for row in backends.history.deliveries(id)):
            if backends.clock.monotonic() >= end:
                break
            backends.clock.sleep(PAUSE_SECONDS)
        return document | ExplainMessage(message_id=id).run(backends)


class SendJob(Sending):
    """Send a job to a task by the rules of its code, such as `unique=`; without a payload, a
    sample.

    show_job says how it goes.
    """

    writes: ClassVar[bool] = True
    lane: str = ""
    """Lane of the task, of those that show_task returns; empty: the default."""
    id: str = ""
    """Id of the job; empty: made by the task's rules, or a new one."""
    delay_seconds: Annotated[float, Field(ge=0)] = 0
    """Seconds until the job may start."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Send it, and return its id."""
        task = task_of(backends, self.task)
        if self.lane and self.lane not in task.needs.lanes:
            lanes = ", ".join(task.needs.lanes)
            raise ToolError(f"{self.task} has no lane {self.lane!r}. There are: {lanes}.")
        id, earlier = sending.send(
            backends,
            task.needs,
            self.data(backends, task),
            self.attributes,
            key=self.ordering_key,
            lane=self.lane,
            id=self.id,
            delay_seconds=self.delay_seconds,
        )
        backends.log("an agent", "sent", f"job {id} to {self.task}")
        return {"task": self.task, "id": id, "was_there": earlier is not None}
