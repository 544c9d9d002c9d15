"""A child, from its parent's side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Pipe

from ucam_faas.exceptions import ConfigurationError, UCAMFAASCouldNotLoadTarget
from ucam_faas.serving.processes.wire import Answer, Call, Hello

END_SECONDS = 2.0
"""For the exit handlers of a child that has nothing to do."""
PROGRAM = "ucam_faas.serving.processes.program"


class ChildEndedError(Exception):
    """The child ended before its answer. The text says how."""


class Child:
    """A process, which starts without being waited for.

    Args:
        hello: its first words.

    Raises:
        ConfigurationError: this process is a child.
    """

    def __init__(self, hello: Hello) -> None:
        if _is_in_child():
            raise ConfigurationError(
                f"The import of the task {hello.task!r} in its process starts to serve it: put the "
                'start below `if __name__ == "__main__":`.'
            )
        self._channel, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(theirs.fileno()), str(lifeline)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lifeline),
                start_new_session=True,  # Control-C is for the parent, and a kill for the group
            )
        except BaseException:
            self._channel.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self._is_ready = self._is_killed = False
        with suppress(OSError):  # `wait` says that it ended
            self._channel.send(hello)

    @property
    def is_alive(self) -> bool:
        """It hasn't ended, and wasn't killed."""
        return not self._is_killed and self._process.poll() is None

    def wait(self) -> None:
        """Wait until it has imported the task and run its start-up code.

        Raises:
            UCAMFAASCouldNotLoadTarget: that failed.
            ChildEndedError: it ended.
        """
        if self._is_ready:
            return
        try:
            failure: str | None = self._channel.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if failure is not None:
            raise UCAMFAASCouldNotLoadTarget(failure)
        self._is_ready = True

    def call(self, call: Call) -> Answer:
        """Run an execution.

        Raises:
            UCAMFAASCouldNotLoadTarget: it couldn't start.
            ChildEndedError: it ended.
        """
        self.wait()
        try:
            self._channel.send(call)
            answer: Answer = self._channel.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        return answer

    def kill(self) -> None:
        """End it now, with all processes that it has started."""
        if self.is_alive:
            self._is_killed = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """Tell it to end, without a wait, when it has nothing to do."""
        self._channel.close()

    def end(self) -> None:
        """Let it end, if it has nothing to do, or kill it."""
        self.dismiss()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        os.close(self._lifeline)

    def _ended(self) -> ChildEndedError:
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # it has closed its end of the pipe, and lives
            self.kill()
            code = self._process.wait()
        if code >= 0:
            return ChildEndedError(f"its process ended with exit code {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ChildEndedError(f"its process ended by {name}")


def _is_in_child() -> bool:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == PROGRAM
