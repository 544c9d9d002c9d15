"""Outcomes of executions, and the one table of their HTTP status, severity and exit code.

Outcome
├── Done                      the task returned
├── DeadLettered              the message is on the dead-letter topic
├── Failed, Crashed           the task raised
├── Recorded, Superseded      the job's row has the failure; another process has the job
├── Paused                    the job's row has the pause
├── Sleeping                  the job's row has the time at which it goes on
├── Unavailable               the job store doesn't answer
├── TimedOut, Overloaded, ShuttingDown
├── NoSuchTask, WrongMethod
└── RaisedOutcome             an exception, too
    ├── Ignore, Retry, Pause, DeadLetter     tasks raise or return these
    │   └── Unverifiable                     a Retry: Google's keys can't be fetched
    └── Refused                       raised wherever a delivery turns out to be unusable
        ├── MalformedEvent
        │   ├── NotAnEvent
        │   └── UnsupportedMedia
        ├── WrongEventType
        ├── InvalidPayload
        ├── TooLarge
        └── Unauthenticated

An outcome is a value: only the edges (serving, run once) act on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ucam_faas.exceptions import TaskDefinitionError, UCAMFAASException


class Outcome:
    """The decision after a delivery.

    `reason` is for logs and dead letters, never for a response: a rule, a field's path or a user's
    words, never a value of the payload.
    """

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Decided(Outcome):
    reason: str | None = None


class Done(_Decided):
    """The task returned."""


class RaisedOutcome(Outcome, Exception):
    """An outcome that is raised or returned."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = None if reason is None else str(reason)
        Exception.__init__(self, self.reason)


class Ignore(RaisedOutcome):
    """There is nothing to do for this message.

    Args:
        reason: for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class Retry(RaisedOutcome):
    """Deliver this message again.

    The task's `RetryPolicy` limits how often and how soon.

    Args:
        after: how long to wait. A push subscription can't be told: it follows its own retry
            policy. HTTP callers are told by a Retry-After header.
        reason: for the log.
    """

    def __init__(self, after: timedelta | None = None, *, reason: str | None = None) -> None:
        if after is not None and (not isinstance(after, timedelta) or after < timedelta(0)):
            raise TaskDefinitionError(
                f"Retry(after={after!r}): expected a timedelta that is not negative, "
                "such as Retry(after=timedelta(seconds=30))."
            )
        super().__init__(reason)
        self.after = after


class Unverifiable(Retry):
    """The keys that verify the push's token can't be fetched."""


class Pause(RaisedOutcome):
    """This job waits until `job.resume()`, and then runs again.

    It counts as no attempt. A delivery that isn't a job's can't wait: it is retried.

    Args:
        reason: for the log and the job's history, such as "awaiting approval".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class DeadLetter(RaisedOutcome):
    """This message can never be handled, and belongs on the dead-letter topic.

    Without a configured topic, or when publishing fails, the delivery fails and is retried, so
    that nothing is lost.

    Args:
        reason: for the log, and for the dead letter's attribute `ucam_faas_reason`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class DeadLettered(_Decided):
    """The message is on the dead-letter topic."""


class Recorded(_Decided):
    """The job's row has the failure: it runs again later, or has ended."""


class Paused(_Decided):
    """The job's row has the pause: it runs again after `job.resume()`."""


@dataclass(frozen=True)
class Sleeping(_Decided):
    """The job called `sleep`: it runs again when the time is up."""

    seconds: float = 0.0


class Superseded(_Decided):
    """Another process holds the job by now: this run's end is dropped."""


class Unavailable(_Decided):
    """The job store doesn't answer."""


class Failed(_Decided):
    """An expected failure: `UCAMFAASException`, an aborted ExecutionInfo."""


class Crashed(_Decided):
    """An unexpected exception."""


class NoSuchTask(_Decided):
    """No task has this path."""


class WrongMethod(_Decided):
    """Events are delivered with POST."""


class Overloaded(_Decided):
    """The process has reached its limit of deliveries, or of bytes in them."""


class TimedOut(_Decided):
    """The deadline passed."""


class ShuttingDown(_Decided):
    """The process is ending, and this delivery wasn't done in time."""


class Refused(RaisedOutcome, UCAMFAASException):
    """A delivery that no task can take as it is. Its `reason` names a rule or a field's path."""


class MalformedEvent(Refused):
    """An event of a known form with a part missing or wrong."""


class NotAnEvent(MalformedEvent):
    """Neither a CloudEvent nor a Pub/Sub push."""


class UnsupportedMedia(MalformedEvent):
    """A media type that carries no events."""


class WrongEventType(Refused):
    """A CloudEvent of another type than the task takes."""


class InvalidPayload(Refused):
    """The payload was rejected by the task's message type."""


class TooLarge(Refused):
    """A body over the limit; it was not read whole."""


class Unauthenticated(Refused):
    """The push's token is missing or not valid."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome as the edges give it."""

    http_status: int
    text: str
    """The fixed response body; nothing of the event or of an exception goes into it."""
    severity: str
    exit_code: int
    """Of a task that is run once; handlers end with 1 where this is 2: see `serving.run_once`."""
    permanent: bool = False
    """It can never succeed, so with a dead-letter topic it goes there at once."""

    @property
    def acknowledges(self) -> bool:
        """Pub/Sub takes the status as an acknowledgement."""
        return acknowledges(self.http_status)


def acknowledges(http_status: int) -> bool:
    """Return True if Pub/Sub takes a status as an acknowledgement ("Push subscriptions")."""
    return http_status in (102, 200, 201, 202, 204)


ANSWERS: dict[type[Outcome], Answer] = {
    Done: Answer(200, "OK", "INFO", 0),
    Ignore: Answer(200, "OK", "INFO", 0),
    DeadLettered: Answer(200, "OK", "WARNING", 0),
    Recorded: Answer(200, "OK", "WARNING", 0),
    Paused: Answer(200, "OK", "INFO", 0),
    Sleeping: Answer(200, "OK", "INFO", 0),
    Superseded: Answer(200, "OK", "WARNING", 0),
    Unavailable: Answer(503, "Try again later", "WARNING", 1),
    DeadLetter: Answer(500, "An error occurred while handling the CloudEvent", "WARNING", 1),
    # No 5xx: it is intended, and must not count as an error. Senders that retry do so after a 429.
    Retry: Answer(429, "Try again later", "WARNING", 1),
    Unverifiable: Answer(503, "Try again later", "WARNING", 1),
    Pause: Answer(503, "Try again later", "WARNING", 1),
    Failed: Answer(500, "An error occurred while handling the CloudEvent", "WARNING", 1),
    Crashed: Answer(500, "An error occurred while handling the CloudEvent", "ERROR", 2),
    TimedOut: Answer(504, "Not handled in time", "WARNING", 1),
    Overloaded: Answer(429, "Too many requests at once", "WARNING", 1),
    ShuttingDown: Answer(503, "The service is shutting down", "WARNING", 1),
    WrongEventType: Answer(400, "The CloudEvent has the wrong type", "WARNING", 1, permanent=True),
    MalformedEvent: Answer(400, "The event is malformed", "WARNING", 1, permanent=True),
    InvalidPayload: Answer(400, "The payload is invalid", "WARNING", 1, permanent=True),
    NotAnEvent: Answer(400, "Neither a CloudEvent nor a Pub/Sub push", "WARNING", 1),
    UnsupportedMedia: Answer(415, "Expected JSON or a CloudEvent", "WARNING", 1),
    NoSuchTask: Answer(404, "No task has this path", "WARNING", 1),
    WrongMethod: Answer(405, "Events are delivered with POST", "WARNING", 1),
    TooLarge: Answer(413, "The body is too large", "WARNING", 1),
    Unauthenticated: Answer(401, "A valid token is required", "WARNING", 1),
}


def answer(outcome: Outcome) -> Answer:
    """Look an outcome up in the table; a subclass has its base's row."""
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
