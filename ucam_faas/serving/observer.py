"""The events of a process that serves tasks, for whoever starts it."""

from __future__ import annotations

from ucam_faas.execution.execution import Conclusion, Execution


class Observer:
    """Does nothing; subclass it, and hand it to `App`. Its methods must not raise."""

    def opened(self) -> None:
        """Note that the port is open; called in the worker that opened it."""

    def closed(self) -> None:
        """Note that a worker is ending, and accepts no more connections."""

    def concluded(self, execution: Execution, conclusion: Conclusion) -> None:
        """Note the end of an execution; called on the event loop, before the answer."""
