"""The dashboard of a `ucam-faas dev`, which starts it: run as a module.

It gets two inherited file descriptors: a listening socket, and a pipe that closes when its parent
ends, even by `kill -9`.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path

NICE = 5
"""Lower than the tasks' priority: they start, and run, first."""


def main(listener: int, lifeline: int, folder: str) -> None:
    """Serve until the parent ends."""
    os.nice(NICE)
    for descriptor in (listener, lifeline):
        os.set_inheritable(descriptor, False)
    threading.Thread(
        target=_end_with, args=(lifeline,), name="ucam-faas-parent-watch", daemon=True
    ).start()
    from ucam_faas.backends.local import STARTING, LocalBackends
    from ucam_faas.dashboard import app, security, server
    from ucam_faas.dead_letters.opening import person

    allowed = frozenset({security.own_name()})
    application = app.make_app(
        LocalBackends(Path(folder), notice=STARTING), allowed=allowed, who=lambda headers: person()
    )
    server.run(application, socket.socket(fileno=listener))


def _end_with(lifeline: int) -> None:
    poll = select.poll()  # select() takes no numbers over 1023
    poll.register(lifeline, select.POLLIN)
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
