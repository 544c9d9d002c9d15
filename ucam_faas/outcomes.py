"""What an execution comes to, and the one table that says what each outcome becomes.

Tasks raise or return `Retry`, `DeadLetter` and `Ignore`; the other outcomes are decided by the
pipeline. An outcome is a value: only the edges (serving, one_shot) act on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Never

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.policies import RetryPolicy


class Outcome:
    """What a delivery came to. `reason` is for logs and dead letters, never for a response."""

    reason: str | None = None


class Done(Outcome):
    """The task returned."""


class RaisedOutcome(Outcome, Exception):
    """An outcome that tasks raise or return."""


class Ignore(RaisedOutcome):
    """There is nothing to do for this message.

    Args:
        reason: for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = str(reason)


class Retry(RaisedOutcome):
    """Deliver this message again.

    How often and how soon at all is the task's `RetryPolicy`.

    Args:
        after: how long to wait. A push subscription has no way to be told: it follows its own
            retry policy, and HTTP callers are told by a Retry-After header.
        reason: for the log.
        other: nothing; it is there to tell what belongs to `RetryPolicy`.
    """

    def __init__(
        self, after: timedelta | None = None, *, reason: str | None = None, **other: Never
    ) -> None:
        for name in other:
            if name in RetryPolicy.__dataclass_fields__:
                raise TaskDefinitionError(
                    f"Retry({name}=…) is the outcome that a task raises; for a decorator's retry= "
                    f"write RetryPolicy({name}=…)."
                )
            raise TypeError(f"Retry() got an unexpected keyword argument {name!r}")
        if after is not None and (not isinstance(after, timedelta) or after < timedelta(0)):
            raise TaskDefinitionError(
                f"Retry(after={after!r}): expected a timedelta that is not negative, "
                "such as Retry(after=timedelta(seconds=30))."
            )
        super().__init__(reason)
        self.after = after
        self.reason = None if reason is None else str(reason)


class DeadLetter(RaisedOutcome):
    """This message can never be handled, and belongs on the dead-letter topic.

    Without a configured topic, or when publishing fails, the delivery fails and is retried, so
    that nothing is lost.

    Args:
        reason: for the log, and for the dead letter's attribute `ucam_faas_reason`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = str(reason)


@dataclass(frozen=True, slots=True)
class _Decided(Outcome):
    reason: str | None = None


class DeadLettered(_Decided):
    """The message is on the dead-letter topic."""


class Failed(_Decided):
    """An expected failure: `UCAMFAASException`, an aborted ExecutionInfo."""


class Crashed(_Decided):
    """An unexpected exception."""


class WrongEventType(_Decided):
    """A CloudEvent of a type that the task does not take."""


class MalformedEvent(_Decided):
    """An event of a known form with a part missing or wrong."""


class InvalidPayload(_Decided):
    """The payload was rejected by the task's message type."""


class NotAnEvent(_Decided):
    """Neither a CloudEvent nor a Pub/Sub push."""


class UnsupportedMedia(_Decided):
    """A media type that carries no events."""


class NoSuchTask(_Decided):
    """No task has this path."""


class WrongMethod(_Decided):
    """Events are delivered with POST."""


class TooLarge(_Decided):
    """A body over the limit; it was not read whole."""


class Unauthenticated(_Decided):
    """The push's token is missing or not valid."""


class Overloaded(_Decided):
    """The process has as many deliveries, or as many bytes of them, as it may."""


class TimedOut(_Decided):
    """The deadline passed."""


class ShuttingDown(_Decided):
    """The process is ending, and this was not done in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an outcome becomes."""

    http_status: int
    text: str
    """The fixed response body; nothing of the event or of an exception goes into it."""
    severity: str
    exit_code: int
    """Of a run of its own; handlers end with 1 where this is 2: see `one_shot`."""
    permanent: bool = False
    """It can never succeed, so with a dead-letter topic it goes there at once."""

    @property
    def acknowledges(self) -> bool:
        """Pub/Sub takes the status as an acknowledgement ("Push subscriptions": 102, 2xx)."""
        return self.http_status in (102, 200, 201, 202, 204)


ANSWERS: dict[type[Outcome], Answer] = {
    Done: Answer(200, "OK", "INFO", 0),
    Ignore: Answer(200, "OK", "INFO", 0),
    DeadLettered: Answer(200, "OK", "WARNING", 0),
    DeadLetter: Answer(500, "An error occurred while handling the CloudEvent", "WARNING", 1),
    Retry: Answer(503, "The event is to be delivered again", "WARNING", 1),
    Failed: Answer(500, "An error occurred while handling the CloudEvent", "WARNING", 1),
    Crashed: Answer(500, "An error occurred while handling the CloudEvent", "ERROR", 2),
    TimedOut: Answer(504, "The event was not handled in time", "WARNING", 1),
    Overloaded: Answer(429, "Too many deliveries at once", "WARNING", 1),
    ShuttingDown: Answer(503, "The service is shutting down", "WARNING", 1),
    WrongEventType: Answer(400, "The CloudEvent has the wrong type", "WARNING", 1, permanent=True),
    MalformedEvent: Answer(400, "The event is malformed", "WARNING", 1, permanent=True),
    InvalidPayload: Answer(400, "The payload is invalid", "WARNING", 1, permanent=True),
    NotAnEvent: Answer(400, "Neither a CloudEvent nor a Pub/Sub push", "WARNING", 1),
    UnsupportedMedia: Answer(415, "This media type carries no events", "WARNING", 1),
    NoSuchTask: Answer(404, "No task has this path", "WARNING", 1),
    WrongMethod: Answer(405, "Events are delivered with POST", "WARNING", 1),
    TooLarge: Answer(413, "The body is too large", "WARNING", 1),
    Unauthenticated: Answer(401, "A valid token is required", "WARNING", 1),
}


def answer(outcome: Outcome) -> Answer:
    """Look an outcome up in the table; a subclass is what it derives from."""
    return ANSWERS[_kind(outcome)]


def name(outcome: Outcome) -> str:
    """Return an outcome's name in the log: `dead_lettered` for `DeadLettered`.

    >>> name(DeadLettered())
    'dead_lettered'
    """
    return _NAMES[_kind(outcome)]


def _kind(outcome: Outcome) -> type[Outcome]:
    kind = type(outcome)
    return kind if kind in ANSWERS else next(base for base in kind.__mro__ if base in ANSWERS)


_NAMES = {
    kind: "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_")
    for kind in ANSWERS
}
