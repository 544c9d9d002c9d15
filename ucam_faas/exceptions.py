"""Every error of this package, in one tree.

UCAMFAASException                 raise it in a task for an expected failure
├── UCAMFAASCouldNotProcess       this event could not be processed
├── ExecutionAbortedException     the run was aborted; carries its ExecutionInfo
├── UCAMFAASCouldNotLoadTarget    a source cannot be imported, clashing names
│   └── NoSuchTargetError         no such source, no such task
├── TaskDefinitionError           a decorator was used wrongly
├── ConfigurationError            an environment variable or option has a bad value
│   ├── NotConfiguredError        a task publishes, and it isn't known where to
│   ├── NoLocalCloudError         no `ucam-faas dev` runs here, and nothing else is named
│   ├── NoJobStoreError           a job can't be followed, because no store keeps it
│   ├── AmbiguousIdError          several things have the id
│   ├── AddressError              an address cannot be listened on
│   ├── PubsubError               Pub/Sub refuses a request, or doesn't answer
│   ├── PayloadRejectedError      a payload to send, which its task would refuse
│   └── MissingExtraError         an optional dependency is not installed
├── WaitTimeoutError              a wait ended before the work
├── outcomes.Refused              a delivery that no task can take as it is
├── InputNotLoadedError           the input of a long-running task cannot be read
├── PublishError                  Pub/Sub did not take a message
│   ├── NoAnswerError             Pub/Sub doesn't answer
│   └── NoSuchTopicError          the topic isn't there
└── JobError                      something about a job
    ├── JobStoreError             the store doesn't answer
    ├── PayloadMissingError       a large payload or result isn't in its store
    ├── ResultNotStoredError      the job succeeded, and its result can't be stored
    ├── JobNotFoundError          there is no job of this id
    ├── JobConflictError          the id belongs to another payload
    │   └── DuplicateJobError     a job of the unique key hasn't ended
    ├── JobLostError              another process holds the job by now
    ├── JobCancelledError         the running job was cancelled
    ├── QueueFull                 as many jobs wait as may
    ├── BatchSendError            some jobs of a batch were not sent
    └── JobFailed                 the job ended without success
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ucam_faas.events.execution_info import ExecutionInfo


class UCAMFAASException(Exception):
    """An expected failure: raised in a task, it is reported without a traceback and retried."""

    exit_code = 2
    """Of the command line, when this ends it."""
    error_code = "failed"
    """In the JSON of the command line; it doesn't change from version to version."""
    place: tuple[str, int] | None = None
    """File and line of the user's code or configuration that it is about, if it is known."""


class UCAMFAASCouldNotProcess(UCAMFAASException):
    """The event was understood but could not be processed."""


class ExecutionAbortedException(UCAMFAASException):
    """A run was aborted.

    Raised by ``task.execute()``; a task may raise it to abort with an ExecutionInfo of its own.

    Args:
        args: for people.
        execution_info: the report of the aborted run.
    """

    def __init__(self, *args: object, execution_info: ExecutionInfo) -> None:
        super().__init__(*args)
        self.execution_info = execution_info

    def __repr__(self) -> str:
        arguments = [*map(repr, self.args), f"execution_info={self.execution_info!r}"]
        return f"{type(self).__name__}({', '.join(arguments)})"


class UCAMFAASCouldNotLoadTarget(UCAMFAASException):
    """The source or the target cannot be loaded; the message says why, and the remedy."""

    error_code = "source-not-loaded"


class NoSuchTargetError(UCAMFAASCouldNotLoadTarget):
    """The command line names a source or a task that isn't there."""

    error_code = "target-unknown"


class TaskDefinitionError(UCAMFAASException):
    """A decorator was used in a way that can never work."""

    error_code = "task-definition"


class ConfigurationError(UCAMFAASException):
    """An environment variable or option has a value that cannot be used."""

    error_code = "configuration"


class NotConfiguredError(ConfigurationError):
    """A task publishes, and no project or no publisher is known.

    Only this package raises it, and its text quotes no payload: so the text is logged.
    """

    error_code = "project-unknown"


class NoLocalCloudError(ConfigurationError):
    """No `ucam-faas dev` runs in this directory, and nothing else to work with is named."""

    error_code = "no-local-cloud"


class NoJobStoreError(ConfigurationError):
    """No store keeps jobs: they can be sent, and not be followed."""


class AmbiguousIdError(ConfigurationError):
    """Several things have the id."""

    error_code = "id-ambiguous"


class AddressError(ConfigurationError):
    """An address can't be listened on: it is taken, or invalid."""

    error_code = "address"


class PubsubError(ConfigurationError):
    """Pub/Sub refuses a request, or doesn't answer."""

    error_code = "pubsub"


class PayloadRejectedError(ConfigurationError):
    """The task wouldn't accept the payload, so it wasn't sent."""

    error_code = "payload-rejected"


class WaitTimeoutError(UCAMFAASException):
    """The waiting ended before the work."""

    error_code = "timeout"


class MissingExtraError(ConfigurationError):
    """An optional dependency is needed and not installed."""

    error_code = "extra-missing"


class InputNotLoadedError(UCAMFAASException):
    """The input of a long-running task cannot be read."""

    exit_code = 3
    error_code = "input-not-loaded"


class PublishError(UCAMFAASException):
    """Pub/Sub did not take a message.

    Attributes:
        status: the HTTP status of its answer; 0: there is none.
    """

    error_code = "not-published"
    status = 0


class NoAnswerError(PublishError):
    """Pub/Sub, or Cloud Tasks, doesn't answer: it isn't known whether the message was taken."""

    error_code = "pubsub"


class NoSuchTopicError(PublishError):
    """The message's topic isn't there."""

    error_code = "topic-unknown"


class JobError(UCAMFAASException):
    """Something about a job."""


class JobStoreError(JobError):
    """The job store doesn't answer. It is not known whether a change was made."""

    error_code = "store"


class PayloadMissingError(JobError):
    """A large payload or result isn't in the payload store any more."""

    error_code = "payload-missing"


class ResultNotStoredError(JobError):
    """The job succeeded, and its result isn't JSON, or is too large for the store."""


class JobNotFoundError(JobError):
    """There is no job of this id, or its retention has ended."""

    error_code = "job-unknown"


class JobConflictError(JobError):
    """Another job has the id, with another payload.

    Args:
        fields: the names of the fields that differ, of payloads that are objects.
    """

    error_code = "id-taken"

    def __init__(self, text: str, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.fields = fields


class DuplicateJobError(JobConflictError):
    """A job of the unique key hasn't ended.

    Args:
        id: of that job.
    """

    error_code = "duplicate"

    def __init__(self, text: str, *, id: str) -> None:
        super().__init__(text)
        self.id = id


class JobCancelledError(JobError):
    """The running job was cancelled; raised by `current_job().progress(…)`, and by its steps."""


class JobLostError(JobError):
    """Another process holds the job by now: this one can report nothing, nor send, nor commit."""


class QueueFull(JobError):
    """As many jobs of the task wait as its `max_pending` allows."""

    error_code = "queue-full"


@dataclass(frozen=True, slots=True)
class FailedSend:
    """A job of a batch that was not sent.

    Args:
        index: of its payload in the batch, from 0.
        error: as `send` raises it.
    """

    index: int
    payload: Any = field(repr=False)
    error: Exception


class BatchSendError(JobError):
    """Some jobs of a batch were not sent.

    Args:
        failed: those, in the order of the batch.
        jobs: the handles of the others, in the order of the batch.
    """

    def __init__(self, text: str, *, failed: tuple[FailedSend, ...], jobs: tuple[Any, ...]) -> None:
        super().__init__(text)
        self.failed = failed
        self.jobs = jobs


class JobFailed(JobError):  # as the state FAILURE, for `except JobFailed`
    """The job ended without success.

    Args:
        state: in which it ended.
        cause: its last error: type, message and traceback; None: it never ran.
        attempts: failures that its limit counts.
        history: of its changes.
    """

    def __init__(
        self, text: str, *, state: str, cause: Any, attempts: int, history: tuple[Any, ...]
    ) -> None:
        super().__init__(text)
        self.state = state
        self.cause = cause
        self.attempts = attempts
        self.history = history
