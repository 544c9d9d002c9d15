"""The data of a message in the form that its task takes: checked, made up, or read from JSON."""

from __future__ import annotations

import json
import shlex

from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.emulator.schemas.definitions import BINARY
from ucam_faas.exceptions import ConfigurationError, PayloadRejectedError
from ucam_faas.tasks.payload_types import protobuf_class
from ucam_faas.tasks.samples import NoSampleError, accepted_sample, protobuf
from ucam_faas.tasks.task import Kind, Task


def check(task: Task, data: bytes) -> None:
    """Refuse data that the task would reject.

    Raises:
        PayloadRejectedError: with the reason in the parser's own words: the reader has the data.
    """
    if task.kind is not Kind.MESSAGE or task.parse is None:
        return
    try:
        task.parse(data)
    except Exception as error:  # a parser raises what it likes
        raise _refusal(task, reason(error)) from error


def reason(error: Exception) -> str:
    """Return why a parser refused data; for a pydantic model, field by field."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return f"{type(error).__qualname__}: {error}"
    texts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(map(str, item["loc"]))
        texts.append(f"{name}: {item['msg']}" if name else item["msg"])
    return "; ".join(texts)


def shown(data: bytes, task: Task | None, schema: TopicSchema | None = None) -> str:
    """Return data as an argument to paste into a shell, where that is possible.

    Args:
        data: in the form in which they are sent.
        task: that gets them.
        schema: of its topic.
    """
    kind = protobuf_class(task.message_type) if task is not None else None
    text = schema.shown(data) if schema is not None and schema.is_avro else None
    if text is not None:
        return shlex.quote(text)
    try:
        if kind is not None and not data.startswith(b"{"):
            return shlex.quote(protobuf.to_json(kind, data))
        return shlex.quote(data.decode())
    except ValueError:
        return json.dumps(data.hex()) + " (hexadecimal)"


def in_its_form(task: Task, data: bytes, schema: TopicSchema | None = None) -> bytes:
    """Return data as they are sent: JSON of a protobuf message, or of an Avro schema, is encoded.

    JSON of a protobuf message stays so where the topic's schema wants that.

    Args:
        task: that gets them.
        data: as they were written.
        schema: of the task's topic; None: it has none.

    No binary message begins with a brace: it would be a group, which proto3 does not have. But the
    tag and the length of a first field may be a line feed and a brace.
    """
    if schema is not None and schema.is_avro:
        try:
            return schema.formed(data)
        except ValueError as error:
            raise _refusal(task, str(error)) from error
    kind = protobuf_class(task.message_type)
    if kind is None or not data.lstrip().startswith(b"{"):
        return data
    try:
        formed = protobuf.from_json(kind, data)
    except ValueError as error:
        if not data.startswith(b"{"):
            return data
        raise _refusal(task, str(error)) from error
    return formed if schema is None or schema.encoding == BINARY else data.strip()


def made_up(task: Task, schema: TopicSchema | None = None) -> bytes:
    """Return data that the task accepts, and the schema of its topic.

    Raises:
        ConfigurationError: there are none to be found.
    """
    try:
        sample = accepted_sample(task, schema.samples if schema and schema.is_avro else None)
    except NoSampleError as error:
        tried = "Nothing could be made up"
        if error.tried is not None:
            tried = f"Tried first: {shown(error.tried, task, schema)}; it was refused"
        raise ConfigurationError(
            f"No data could be made up that {task.name!r} takes ({_wanted(task)}). {tried}: "
            f"{reason(error.error)}. Write some yourself."
        ) from error
    kind = protobuf_class(task.message_type)
    if kind is None or schema is None or schema.encoding == BINARY:
        return sample
    return protobuf.to_json(kind, sample).encode()


def _refusal(task: Task, why: str) -> PayloadRejectedError:
    hint = ""
    kind = protobuf_class(task.message_type)
    if kind is not None:
        example = shown(protobuf.sample(kind), task)
        hint = f" It takes JSON, such as {example}, or a message's binary form."
    return PayloadRejectedError(
        f"The data was not sent. {task.name!r} takes {_wanted(task)}, and rejects it: {why}{hint}"
    )


def _wanted(task: Task) -> str:
    return str(getattr(task.message_type, "__name__", "its message type"))
