"""Lines reach their descriptor in order, and a reader that stops holds nothing up."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ucam_faas.logs import writer
from ucam_faas.logs.writer import BackgroundHandler


class Pipe:
    """A handler on a pipe, and the pipe's other end."""

    def __init__(self, limit_bytes: int = 4_000_000) -> None:
        self.reading, self.writing = os.pipe()
        self.handler = BackgroundHandler(self.writing, limit_bytes=limit_bytes)

    def log(self, text: str) -> None:
        self.handler.handle(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))

    def fill(self) -> None:
        """Fill the pipe itself, so that no line can be written."""
        os.set_blocking(self.writing, False)
        try:
            while True:
                os.write(self.writing, b"\0" * 4096)
        except BlockingIOError:
            os.set_blocking(self.writing, True)

    def close(self) -> None:
        """Close what writes, when all is written."""
        self.handler._end_thread()
        os.close(self.writing)
        os.close(self.handler._descriptor)

    def read_to_the_end(self) -> list[str]:
        """Return the lines that arrive until what writes is closed."""
        with open(self.reading, "rb") as stream:
            return stream.read().replace(b"\0", b"").decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.handler._end_thread()


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(pipe.read_to_the_end)

        for number in range(5000):
            pipe.log(f"{number:05} " + "x" * (number % 300))
        pipe.close()

    assert [line.split()[0] for line in reading.result()] == [f"{n:05}" for n in range(5000)]


def test_a_reader_that_has_stopped_holds_nothing_up() -> None:
    """Lines are dropped while the buffer is full, and their number is logged when it has room."""
    pipe = Pipe(limit_bytes=1000)
    pipe.fill()

    for number in range(100):
        pipe.log(f"{number:02} " + "x" * 96)
    dropped = pipe.handler.dropped
    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(pipe.read_to_the_end)
        pipe.handler.flush()
        pipe.log("after")
        pipe.close()

    assert dropped == 89  # eleven lines of 100 bytes exceed the limit, whether or not one is taken
    arrived = [line[:2] for line in reading.result()]
    assert arrived == [*(f"{number:02}" for number in range(11)), "uc", "af"]


def test_a_line_goes_to_the_descriptor_that_was_there_first(pipe: Pipe) -> None:
    """A task that closes descriptor 1 may give its number to a client's connection."""
    reading, writing = os.pipe()
    os.dup2(writing, pipe.writing)

    pipe.log("mine")
    pipe.handler.flush()

    assert os.read(pipe.reading, 100) == b"mine\n"
    for descriptor in (reading, writing, pipe.writing, pipe.reading):
        os.close(descriptor)


def test_a_forked_process_writes_its_own_lines(pipe: Pipe) -> None:
    pipe.log("parent before")

    child = os.fork()
    if child == 0:
        pipe.log("child")
        pipe.handler.flush()
        os._exit(0)
    os.waitpid(child, 0)
    pipe.log("parent after")

    pipe.close()
    assert pipe.read_to_the_end() == ["parent before", "child", "parent after"]


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    os.close(pipe.reading)

    pipe.log("lost")
    pipe.handler.flush()

    assert pipe.handler.dropped == 0


def test_a_fork_while_the_reader_stops_ends_no_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that could not end before the fork ends later: the next line starts another."""
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.05)
    pipe = Pipe()
    pipe.fill()
    pipe.log("before")

    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    pipe.log("stuck")
    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(pipe.read_to_the_end)
        pipe.handler.flush()
        pipe.log("after")
        monkeypatch.undo()
        pipe.close()

    assert reading.result() == ["before", "stuck", "after"]


def test_a_descriptor_that_does_not_block_loses_no_line(pipe: Pipe) -> None:
    """Another process that has the terminal or pipe open may set it so."""
    pipe.fill()
    os.set_blocking(pipe.writing, False)
    pipe.log("waits")

    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(pipe.read_to_the_end)
        pipe.close()

    assert reading.result() == ["waits"]


@pytest.mark.skipif(sys.platform != "linux", reason="processes take turns on Linux only")
def test_long_lines_of_processes_that_share_a_pipe_stay_whole(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe takes at most PIPE_BUF bytes at once, and a traceback may be longer."""
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 60)
    fcntl.fcntl(pipe.writing, fcntl.F_SETPIPE_SZ, 4096)

    def log(letter: str) -> None:
        for _ in range(100):
            pipe.log(letter * 20_000)

    child = os.fork()
    if child == 0:
        log("c")
        pipe.handler._end_thread()
        os._exit(0)
    log("p")
    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(pipe.read_to_the_end)
        os.waitpid(child, 0)
        pipe.close()

    assert sorted(reading.result()) == ["c" * 20_000] * 100 + ["p" * 20_000] * 100
