"""The losses of a process: spans and metrics that it couldn't export, counted and said once."""

from __future__ import annotations

import logging
import threading
from typing import Any

from ucam_faas.logs.problems import log_problem

EVENT = "ucam_faas_telemetry_lost"
QUEUE_IS_FULL = "the queue is full"
RECEIVER_FAILED = "the receiver failed, or didn't answer"
UNANSWERED = "the receiver didn't answer before the end"


class Losses:
    """Counts lost spans, and logs the first loss of each kind. Deliveries don't depend on them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again, in a forked process."""
        self._lock = threading.RLock()  # a finalizer may end a span, which may be lost
        self._spans = 0
        self._said: set[tuple[str, str]] = set()

    def lose(self, spans: int, reason: str, cause: str = "") -> None:
        """Count lost spans, and say it."""
        with self._lock:
            self._spans += spans
        self.say("traces", reason, cause)

    def say(self, signal: str, reason: str, cause: str = "") -> None:
        """Log a loss, once for each signal and reason.

        Args:
            signal: "traces" or "metrics".
            reason: one of those above.
            cause: of a failed request; empty: it isn't known.
        """
        with self._lock:
            if (signal, reason) in self._said:
                return
            self._said.add((signal, reason))
        why: dict[str, Any] = {"cause": cause} if cause else {}
        log_problem(EVENT, level=logging.WARNING, signal=signal, reason=reason, **why)

    def end(self) -> None:
        """Log the number of lost spans, if there are any."""
        if self._spans:
            log_problem(EVENT, level=logging.WARNING, spans=self._spans)
