"""The process that writes a history: nothing that happens to it, or to `dev`, breaks the other."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import pytest

from tests.integration.processes import wait_until
from tests.support import history
from ucam_faas.history.database import open_for_writing
from ucam_faas.history.events import Delivered, End, Logged, pack
from ucam_faas.history.pruning import Pruning
from ucam_faas.history.reader import History
from ucam_faas.history.recorder import Recorder
from ucam_faas.history.recording import Inlet, Recording

pytestmark = pytest.mark.slow


def recorder(path: Path, told: list[str]) -> Recorder:
    return Recorder(path, days=7, megabytes=500, tell=told.append)


def test_events_are_in_the_file_when_it_ends(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history.sqlite3"

    with recorder(path, told) as recording:
        for number in range(1000):
            recording.put(history.published(str(number), b"x" * 1000))

    with closing(History(path)) as reader:
        assert [row.id for row in reader.messages(limit=2000)] == list(map(str, range(999, -1, -1)))
        assert len(reader.messages(text="xxx", limit=2000)) == 1000
    assert told == []
    assert path.stat().st_mode & 0o077 == 0


def test_halves_of_characters_and_texts_of_enums_are_recorded(tmp_path: Path) -> None:
    """JSON may escape the one; a reason may be the other."""

    class Why(StrEnum):
        FULL = "it is full"

    half, told = json.loads(r'"half \ud800"'), list[str]()
    path = tmp_path / "history.sqlite3"
    message = history.published("1", rb'{"note": "escaped \ud800"}')
    end = End("failed", Why.FULL, half, 1.0, is_failure=True)

    with recorder(path, told) as recording:
        recording.put(message)
        recording.put(message._replace(message_id="2", key=half, attributes={"a": half}))
        recording.put(Logged(message.time, "ERROR", half, execution_id="run", end=end))
        recording.put(history.published("3", b"afterwards"))

    assert told == []
    with closing(History(path)) as reader:
        assert [row.id for row in reader.messages(text="escaped")] == ["2", "1"]
        assert [row.id for row in reader.messages(text="afterwards")] == ["3"]
        second, run = reader.message("2"), reader.run("run")
    assert second is not None
    assert second.attributes == {"a": r"half \ud800"}
    assert run is not None
    assert run.reason == "it is full"


def test_a_killed_owner_loses_only_the_last_events(tmp_path: Path) -> None:
    """The file is whole, and holds the first events, without gaps."""
    path = tmp_path / "history.sqlite3"
    script = """
import sys
from pathlib import Path
from tests.support import history
from ucam_faas.history.reader import History
from ucam_faas.history.recorder import Recorder

path = Path(sys.argv[1])
with Recorder(path, days=7, megabytes=500, tell=print) as recorder:
    number = 0
    while True:
        number += 1
        recorder.put(history.published(str(number), b"x" * 2000))
        if number == 5000:
            reader = History(path)
            while reader.last_seq() < 5000:
                pass
            print(recorder._process.pid, flush=True)
"""
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        writer = int(owner.stdout.readline())
        owner.kill()
    wait_until(lambda: not Path(f"/proc/{writer}").exists(), "the writer ends")

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = [int(id) for (id,) in database.execute("SELECT id FROM messages ORDER BY seq")]
    assert len(ids) >= 5000
    assert ids == list(range(1, len(ids) + 1))


def test_a_killed_writer_is_told_once_and_leaves_a_file_that_opens(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history.sqlite3"
    with recorder(path, told) as recording, closing(History(path)) as reader:
        recording.put(history.published("1"))
        wait_until(lambda: reader.last_seq() == 1, "it is written")

        os.kill(recording._process.pid, signal.SIGKILL)
        wait_until(lambda: told, "it is told")
        for number in range(1000):
            recording.put(history.published(str(number)))
        with recording.lines():
            pass

        assert [row.id for row in reader.messages()] == ["1"]
    assert told == ["The process that writes the history ended: there is none from now on."]


def test_a_file_that_is_not_a_history_is_replaced(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database " * 1000)

    with recorder(path, told) as recording:
        recording.put(history.published("1"))

    with closing(History(path)) as reader:
        assert [row.id for row in reader.messages()] == ["1"]
    assert told == [f"The history in {path} is broken, or of another version: a new one begins."]


def test_a_file_with_damaged_pages_is_replaced(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history.sqlite3"
    with recorder(path, told) as recording:
        recording.put(history.published("1"))
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))

    with recorder(path, told) as recording:
        recording.put(history.published("2"))

    with closing(History(path)) as reader:
        assert [row.id for row in reader.messages()] == ["2"]
    assert told == [f"The history in {path} is broken, or of another version: a new one begins."]


def test_a_file_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "file").touch()

    with recorder(tmp_path / "file" / "history.sqlite3", told) as recording:
        recording.put(history.published("1"))
        wait_until(lambda: told, "it is told")

    assert len(told) == 1
    assert told[0].startswith("There is no history from now on: ")


def test_the_lines_of_a_process_come_by_its_own_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    script = """
import logging, os, sys
from ucam_faas.history.lines import LineHandler

logging.root.addHandler(LineHandler(int(sys.argv[1])))
logging.getLogger("shop").warning("out of %s", "umbrellas", extra={"left": 0})
"""
    with recorder(path, []) as recording:
        with recording.lines() as descriptor:
            command = [sys.executable, "-c", script, str(descriptor)]
            process = subprocess.Popen(command, pass_fds=[descriptor])
        assert process.wait(60) == 0

    with closing(History(path)) as reader:
        assert [event.text for event in reader.stream(0)] == ["WARNING out of umbrellas"]
        assert reader.lines("") == []


def test_a_value_that_cannot_be_written_loses_its_batch_alone(tmp_path: Path) -> None:
    path, told = tmp_path / "history.sqlite3", list[str]()
    with recorder(path, told) as recording, closing(History(path)) as reader:
        recording.put(history.published("1"))
        wait_until(lambda: reader.last_seq() == 1, "it is written")
        recording.put(Delivered(history.BEGIN, "charge", "1", attempt=2**70))
        wait_until(lambda: told, "it is told")
        recording.put(history.published("2"))
        wait_until(lambda: len(told) == 2, "it goes on")

        assert [row.id for row in reader.messages()] == ["2", "1"]
    assert told == [
        "The history isn't recorded: Python int too large to convert to SQLite INTEGER.",
        "The history is recorded again.",
    ]


def test_lines_after_one_that_broke_off_are_recorded(tmp_path: Path) -> None:
    """Workers share a descriptor, and may be killed at any time."""
    path, told = tmp_path / "history.sqlite3", list[str]()
    lines = [pack([Logged(history.BEGIN, "INFO", f"line {number}")]) for number in range(100)]

    with recorder(path, told) as recording, closing(History(path)) as reader:
        with recording.lines() as descriptor:
            os.write(descriptor, lines[0] + lines[1][:-20] + b"".join(lines[2:]))
        wait_until(lambda: reader.last_seq() == 99, "they are written")

        texts = [event.text for event in reader.stream(0)]
        assert texts == [f"INFO line {number}" for number in range(100) if number != 1]
    assert told == []


def in_this_process(path: Path, tell: Callable[[sqlite3.Connection, str], None]) -> socket.socket:
    """Write a history in a thread, with a connection that the test can reach."""
    ours, theirs = socket.socketpair()

    def work() -> None:
        with closing(open_for_writing(path)) as database:
            database.execute("PRAGMA max_page_count = 100")
            pruning = Pruning(7, 500)
            Recording(database, pruning, lambda text: tell(database, text)).run(Inlet(theirs))
        ours.close()

    threading.Thread(target=work, name="writer").start()
    return ours


def test_a_full_disk_is_told_once_and_recording_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path, told = tmp_path / "history.sqlite3", []
    is_full, goes_on = threading.Event(), threading.Event()

    def tell(database: sqlite3.Connection, text: str) -> None:
        told.append(text)
        if len(told) == 1:
            database.execute("PRAGMA max_page_count = 100000")
            is_full.set()
        else:
            goes_on.set()

    writer = in_this_process(path, tell)
    writer.sendall(pack([history.published("1", b"x" * 1_000_000)]))
    assert is_full.wait(60)
    writer.sendall(pack([history.published("2", b"x" * 1_000_000)]))
    assert goes_on.wait(60)
    writer.shutdown(socket.SHUT_WR)
    (thread,) = [each for each in threading.enumerate() if each.name == "writer"]
    thread.join(60)

    assert told == [
        "The history isn't recorded: database or disk is full.",
        "The history is recorded again.",
    ]
    with closing(History(path)) as reader:
        assert [row.id for row in reader.messages()] == ["2"]
