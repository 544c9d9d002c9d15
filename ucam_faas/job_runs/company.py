"""The jobs that run in this process; one that may have ended processes runs alone.

A process that ends at once takes all its jobs with it, and leaves no word on which of them it was.
A job that ran alone answers for itself.
"""

from __future__ import annotations

import threading


class Company:
    """The jobs of a process, each an object of its own."""

    def __init__(self) -> None:
        self._members: set[object] = set()
        self._alone: object | None = None
        self._left = threading.Condition()

    def join(self, job: object) -> bool:
        """Let a job run beside the others; False: one runs alone, or is about to."""
        with self._left:
            if self._alone is not None:
                return False
            self._members.add(job)
            return True

    def be_alone(self, job: object, seconds: float) -> bool:
        """Let a job that has joined run alone, once the others have left; False: it can't.

        Args:
            job: no other may join until it leaves, or can't be alone.
            seconds: the longest wait for the others.
        """
        with self._left:
            if self._alone is not None:
                return False
            self._alone = job
            if self._left.wait_for(lambda: self._members == {job}, seconds):
                return True
            self._alone = None
            return False

    def leave(self, job: object) -> None:
        """Remove a job; a second call has no effect."""
        with self._left:
            self._members.discard(job)
            if self._alone is job:
                self._alone = None
            self._left.notify_all()


COMPANY = Company()
"""The jobs that run in this process."""
