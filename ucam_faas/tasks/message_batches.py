"""Batches of messages: the elements of a task's list, its limits, and the failures it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, get_args, get_origin

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.outcomes import RaisedOutcome
from ucam_faas.tasks.annotations import NOT_ANNOTATED, accepts, payload_annotation
from ucam_faas.tasks.arguments import takes_nothing
from ucam_faas.tasks.payload_types import plain, shown

PayloadT = TypeVar("PayloadT")

MAX_MESSAGES = 1_000
"""In a batch: as many as Pub/Sub acknowledges in one request."""
DEFAULT_MESSAGES = 100
MAX_WAIT = timedelta(minutes=10)
DEFAULT_WAIT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchMessage(Generic[PayloadT]):
    """A message of a batch; two are never equal, so it is a key of a `BatchResult`.

    Args:
        payload: as the task's message type says.
        pubsub_message: the message itself.
        subscription: its full name.
        delivery_attempt: Pub/Sub's count, from 1; None without dead letters.
    """

    payload: PayloadT
    pubsub_message: PubsubMessage = field(default_factory=PubsubMessage)
    subscription: str = ""
    delivery_attempt: int | None = None

    def __repr__(self) -> str:
        return f"<BatchMessage {self.id!r}>"  # the payload may be personal data

    @property
    def id(self) -> str:
        """The message's id, which Pub/Sub gives it."""
        return self.pubsub_message.message_id

    @property
    def attributes(self) -> Mapping[str, str]:
        """The message's attributes."""
        return self.pubsub_message.attributes

    @property
    def ordering_key(self) -> str:
        """The message's ordering key, or nothing."""
        return self.pubsub_message.ordering_key

    @property
    def publish_time(self) -> datetime | None:
        """The time at which Pub/Sub took the message."""
        return self.pubsub_message.publish_time


Failure = BaseException | type[RaisedOutcome]
"""The end of one message: `Retry`, `DeadLetter("…")` or `Ignore("…")`, or any exception."""


class BatchResult:
    """The messages of a batch that failed; the others succeeded.

    Args:
        failures: from messages to their ends: `Retry`, `DeadLetter(…)`, `Ignore(…)`, or an
            exception, as if the function had raised it for this message alone. None: it succeeded.

    Raises:
        TypeError: a key isn't a message of a batch, or a value isn't one of these.

    >>> message = BatchMessage(5, PubsubMessage(message_id="1"))
    >>> BatchResult({message: ValueError("no such room")})
    BatchResult({<BatchMessage '1'>: ValueError('no such room')})
    """

    __slots__ = ("failures",)

    def __init__(self, failures: Mapping[BatchMessage[Any], Failure | None] | None = None) -> None:
        self.failures: dict[BatchMessage[Any], BaseException] = {}
        for message, failure in (failures or {}).items():
            if not isinstance(message, BatchMessage):
                raise TypeError(
                    f"BatchResult has a key of type {type(message).__name__}: expected messages "
                    "of the function's list, such as BatchResult({message: Retry})."
                )
            if failure is not None:
                self.failures[message] = _failure(failure)

    def __repr__(self) -> str:
        return f"BatchResult({self.failures})"


def _failure(value: Any) -> BaseException:
    if isinstance(value, type) and issubclass(value, RaisedOutcome):
        value = value()  # Retry, as `raise Retry` has it
    if isinstance(value, BaseException):
        return value
    raise TypeError(
        f"BatchResult has a value of type {type(value).__name__}: expected Retry, DeadLetter(…), "
        "Ignore(…) or an exception; or None for a message that succeeded."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """When a batch is complete: whichever comes first.

    Args:
        max_messages: in a batch, 1 to 1000.
        max_wait: from the arrival of its first message, 0 to 10 minutes.

    Raises:
        TaskDefinitionError: a value is out of range.
    """

    max_messages: int = DEFAULT_MESSAGES
    max_wait: timedelta = DEFAULT_WAIT

    def __post_init__(self) -> None:
        if type(self.max_messages) is not int or not 1 <= self.max_messages <= MAX_MESSAGES:
            raise TaskDefinitionError(
                f"max_messages={self.max_messages!r}: expected a whole number from 1 to "
                f"{MAX_MESSAGES}."
            )
        if (
            not isinstance(self.max_wait, timedelta)
            or not timedelta(0) <= self.max_wait <= MAX_WAIT
        ):
            raise TaskDefinitionError(
                f"max_wait={self.max_wait!r}: expected a timedelta from 0 to 10 minutes, such as "
                "max_wait=timedelta(seconds=5)."
            )


def message_type_of_batch(function: Any, message_type: Any, *, is_given: bool) -> Any:
    """Return the type of the payloads in a batch function's list.

    Args:
        function: takes the list.
        message_type: the decorator's.
        is_given: False: the annotation alone says.

    Raises:
        TaskDefinitionError: the function takes no list of messages, or their type isn't clear.
    """
    annotated = _element_type(function)
    if is_given:
        if not accepts(annotated, message_type):
            raise TaskDefinitionError(
                f"its parameter is annotated with messages of {shown(annotated)}, and "
                f"message_type={shown(message_type)}. Leave message_type= out, or write the same."
            )
        return message_type
    if annotated is NOT_ANNOTATED:
        raise TaskDefinitionError(
            "@ucam_faas.batch_handler needs to know the type of the messages: write "
            f"{_EXAMPLE.format(_name(function))} Or write @ucam_faas.batch_handler(message_type=…)."
        )
    return plain(annotated)


def _element_type(function: Callable[..., Any]) -> Any:
    """Return the payload's type in the annotation of a list; NOT_ANNOTATED: it has none."""
    name = _name(function)
    if takes_nothing(function):
        raise TaskDefinitionError(
            f"{name}() takes nothing: a function of batches takes the list of messages, such as "
            f"{_EXAMPLE.format(name)}"
        )
    annotation = payload_annotation(function)
    if annotation is NOT_ANNOTATED or annotation in (list, Sequence):
        return NOT_ANNOTATED
    if get_origin(annotation) in (list, Sequence):
        (element,) = get_args(annotation)
        if element is BatchMessage or element is Any:
            return NOT_ANNOTATED
        if get_origin(element) is BatchMessage:
            return get_args(element)[0]
    written = annotation if isinstance(annotation, str) else shown(annotation)
    raise TaskDefinitionError(
        f"its parameter is annotated with {written}: a batch is a list of messages, each with its "
        f"payload. Write {_EXAMPLE.format(name)}"
    )


_EXAMPLE = "def {}(messages: list[BatchMessage[Reading]]) -> BatchResult | None."


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
