"""How a task is run: one frozen object, decided when the task is decorated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.pubsub import TOPIC_PATH

DEFAULT_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A task's policy.

    Args:
        timeout: from arrival to answer; None: 5 minutes when served, no limit when run once.
        concurrency: executions at a time in one process; None: as many as there are threads
            (sync tasks) or Cloud Run's 80 requests (async tasks).
        dead_letter_topic: overrides UCAM_FAAS_DEAD_LETTER_TOPIC.
    """

    timeout: timedelta | None = None
    concurrency: int | None = None
    dead_letter_topic: str | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and (
            not isinstance(self.timeout, timedelta) or self.timeout <= timedelta(0)
        ):
            raise TaskDefinitionError(
                f"timeout={self.timeout!r}: expected a positive timedelta, "
                "such as timeout=timedelta(seconds=30)."
            )
        if self.concurrency is not None and (
            type(self.concurrency) is not int or self.concurrency < 1
        ):
            raise TaskDefinitionError(
                f"concurrency={self.concurrency!r}: expected a whole number of at least 1."
            )
        if self.dead_letter_topic is not None:
            check_topic(self.dead_letter_topic)

    @property
    def served_timeout_seconds(self) -> float:
        """The timeout in force while serving, in seconds."""
        return (self.timeout or DEFAULT_TIMEOUT).total_seconds()


def check_topic(topic: str) -> None:
    """Refuse a name that is neither `projects/P/topics/T` nor a short `T`.

    Raises:
        TaskDefinitionError: with both forms in the message.
    """
    named = isinstance(topic, str) and topic
    if not named or ("/" in topic and not TOPIC_PATH.fullmatch(topic)):
        raise TaskDefinitionError(
            f"{topic!r} is not a topic: expected projects/PROJECT/topics/TOPIC or TOPIC."
        )
