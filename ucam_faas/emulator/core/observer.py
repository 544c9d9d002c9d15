"""The events of an emulator, for whoever starts it."""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.emulator.core.storage import Message


class Observer:
    """Does nothing; subclass it, and hand it to `Emulator`. Its methods must not raise.

    Topics, subscriptions and jobs are given by their full names.
    """

    def published(self, topic: str, messages: Sequence[Message]) -> None:
        """Note messages that a client, a schedule or dead-lettering published."""

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        """Note that a push begins; `attempt` is 1 for the first."""

    def acknowledged(
        self, subscription: str, message: Message, attempt: int, *, status: int | str
    ) -> None:
        """Note that a push was answered with a status that means success."""

    def pulled(self, subscription: str, numbers: Sequence[int]) -> None:
        """Note that a subscriber acknowledged messages that it had pulled, maybe again."""

    def failed(
        self,
        subscription: str,
        message: Message,
        attempt: int,
        *,
        status: int | str,
        retry_seconds: float | None,
    ) -> None:
        """Note that a push failed.

        Args:
            subscription: the one that pushes.
            message: the one that it pushed.
            attempt: 1 for the first.
            status: of the response, or the reason why there is none.
            retry_seconds: until the next attempt; None: that was the last.
        """

    def cancelled(self, subscription: str, message: Message) -> None:
        """Note that a push is given up: its subscription is gone, or the emulator ends."""

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        """Note that a message was forwarded to a dead-letter topic, as a new message."""

    def scheduled(self, job: str, *, forced: bool) -> None:
        """Note that a job runs; `forced` by a user, not by its schedule."""

    def schedule_published(self, job: str, message: Message) -> None:
        """Note the message of the run that was noted before."""

    def task_failed(
        self, task: str, attempt: int, *, reason: str, retry_seconds: float | None
    ) -> None:
        """Note that a request of Cloud Tasks failed.

        Args:
            task: its full name.
            attempt: 1 for the first.
            reason: a sentence.
            retry_seconds: until the next attempt; None: that was the last, or the task is gone.
        """
