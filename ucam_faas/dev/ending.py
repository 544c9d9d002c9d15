"""The end of a session: the signals that ask for it, and work that it cuts short."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Callable, Coroutine
from typing import Any


class Ending:
    """Begins once, with a signal; all work that is raced against it is cancelled then."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """The session ends."""
        return self._begun.is_set()

    def on_signals(self, at_once: Callable[[], None]) -> None:
        """End in order when a signal comes.

        Args:
            at_once: is called if another one comes.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, at_once)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    async def race(self, *work: Coroutine[Any, Any, Any]) -> list[Any]:
        """Return the first results, and None for the others, which are cancelled."""
        tasks = [asyncio.ensure_future(coroutine) for coroutine in (*work, self._begun.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return [None if task.cancelled() else task.result() for task in tasks[:-1]]

    def _stop(self, at_once: Callable[[], None]) -> None:
        if self.has_begun:
            at_once()
        self._begun.set()

    def _hang_up(self) -> None:
        """End in order without the terminal, which is closed; the shell may signal that again."""
        for descriptor in (1, 2):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # writing to a closed one fails
                with open(os.devnull, "wb") as nothing:
                    os.dup2(nothing.fileno(), descriptor)
        self._begun.set()
