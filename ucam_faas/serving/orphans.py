"""A worker ends when its main process does, however that ended.

Workers outlive a main process that is killed, and keep the port. A pipe tells them: only the main
process holds its writing end, and the kernel closes that with the process.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from ucam_faas.logs import problems, setup

SECONDS_BEYOND_GRACE = 2.0
"""For the answers that are given when the grace ends."""


class MainProcess:
    """The main process as its workers see it; made there, before they are forked."""

    def __init__(self) -> None:
        self._ended, self._held = os.pipe()

    def watch(self, grace_seconds: float) -> None:
        """In a worker: when the main process ends, end as on SIGTERM."""
        os.close(self._held)
        threading.Thread(
            target=self._wait, args=(grace_seconds,), name="ucam-faas-main-process", daemon=True
        ).start()

    def _wait(self, grace_seconds: float) -> None:
        # A thread, because the event loop may be stuck, or not be running yet.
        try:
            os.read(self._ended, 1)
        except OSError:  # a task has closed every descriptor: nothing can be known any more
            return
        problems.log_problem("ucam_faas_main_process_ended")
        exit_within(grace_seconds + SECONDS_BEYOND_GRACE)
        os.kill(os.getpid(), signal.SIGTERM)


def exit_within(seconds: float) -> None:
    """End this process by then, if it has not ended in order before.

    Python waits at its end for threads that tasks have started, and these may be stuck.
    """

    def wait() -> None:
        time.sleep(seconds)
        setup.flush()
        os._exit(0)

    threading.Thread(target=wait, name="ucam-faas-exit", daemon=True).start()
