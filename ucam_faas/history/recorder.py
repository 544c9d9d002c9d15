"""The end of a history in `ucam-faas dev`: hands events over, and never waits.

A process of its own writes the file: rows are made in Python, and a thread that made them would
take the interpreter from the event loop that delivers messages. The thread here only packs many
events at once, and sends them through a socket. The process ends when the socket is closed, however
`dev` ended, and has then written everything that was sent.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.history.events import Dropped, Event, Row, frame, pack
from ucam_faas.history.lines import PAUSE_SECONDS

WAITING_BYTES = 64_000_000
"""Events that may wait to be sent; those beyond it are lost, and counted."""
SENT_BYTES = 4_000_000
"""Events that are sent at once, at most, but for one of any size."""
EVENT_BYTES = 200
"""Of an event without its payload, about."""
TURN_SECONDS = 1.0
"""The time that a frame has, before code that was saved is served without a history."""
END_SECONDS = 10.0
"""The time that the process has to write the rest when `dev` ends."""


class Recorder:
    """Records events in a file: `with Recorder(…) as recorder: recorder.put(event)`.

    Args:
        path: the file of the history.
        days: events are kept for so many.
        megabytes: the file has at most so many, about.
        tell: shows a sentence about what went wrong; called in another thread.
        clock: for the pauses.
    """

    def __init__(
        self,
        path: Path,
        *,
        days: float,
        megabytes: float,
        tell: Callable[[str], object],
        clock: Clock | None = None,
    ) -> None:
        self._arguments = (str(path), str(days), str(megabytes))
        self._tell = tell
        self._clock = clock or SystemClock()
        self._waiting: SimpleQueue[tuple[int, tuple[Event | Row, ...]] | None] = SimpleQueue()
        self._taken = self._sent = 0  # bytes; the first is changed by `put`, the other by a thread
        self._dropped = 0
        self._is_gone = self._is_closing = False
        self._turn = threading.Lock()
        """Of the socket: frames are whole."""

    def __enter__(self) -> Recorder:
        """Start the process."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-P", "-m", "ucam_faas.history.recording", str(theirs.fileno()),
                 *self._arguments),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Control-C is for `dev`, which ends it in order
            )  # fmt: skip
        self._threads = [
            threading.Thread(target=work, name=f"ucam-faas-history-{name}", daemon=True)
            for name, work in (("send", self._send_all), ("hear", self._hear))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the process write what is left, and end it."""
        self._is_closing = True
        self._waiting.put(None)
        self._threads[0].join(END_SECONDS)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._threads[1].join()
        self._socket.close()

    def put(self, *events: Event | Row, data: int = 0) -> None:
        """Record events. Any thread may call this; it never waits, and never raises.

        Args:
            events: that happened, in their order.
            data: the bytes of their payloads.
        """
        if self._is_gone:
            return
        if self._taken - self._sent > WAITING_BYTES:
            self._dropped += len(events)
            return
        size = EVENT_BYTES * len(events) + data
        self._taken += size
        self._waiting.put((size, events))

    @contextlib.contextmanager
    def lines(self) -> Iterator[int]:
        """Return a descriptor that a process may inherit for its `LineHandler`.

        The block is left when the process has it.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            if self._turn.acquire(timeout=TURN_SECONDS):
                with contextlib.suppress(OSError):  # the process has ended, or hangs
                    flags = socket.MSG_DONTWAIT
                    socket.send_fds(self._socket, [frame()], [ours.fileno()], flags)
                self._turn.release()
            yield theirs.fileno()

    def _send_all(self) -> None:
        is_ending = False
        while not is_ending:
            events, size, is_ending = self._take()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                events.append(Dropped(dropped))
            if events and not self._is_gone:
                try:
                    with self._turn:
                        self._socket.sendall(pack(events))
                except OSError:  # it has ended, and has said why
                    self._is_gone = True
            self._sent += size
            if not is_ending:
                self._clock.sleep(PAUSE_SECONDS)

    def _take(self) -> tuple[list[Event | Row], int, bool]:
        """Return events that wait, their size, and whether they are the last."""
        taken: list[Event | Row] = []
        total, item = 0, self._waiting.get()
        while item is not None:
            size, events = item
            taken += events
            total += size
            if total > SENT_BYTES or self._waiting.empty():  # no other thread takes
                return taken, total, False
            item = self._waiting.get()
        return taken, total, True

    def _hear(self) -> None:
        """Show the sentences of the process, until it ends."""
        rest, is_said = b"", False
        with contextlib.suppress(OSError):
            while content := self._socket.recv(65536):
                *sentences, rest = (rest + content).split(b"\n")
                for sentence in sentences:
                    self._tell(sentence.decode(errors="replace"))
                    is_said = sentence.startswith(b"There is no")
        if not (self._is_closing or is_said):
            self._tell("The process that writes the history ended: there is none from now on.")
        self._is_gone = True
