"""Messages and schedules outlive `ucam-faas dev`, however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, Process, wait_until
from ucam_faas.local_state import FOLDER, JOBS

from .cloud import Rest, environ_of
from .conftest import StartDev

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_messages_dead_letters_and_schedules_are_as_they_were(
    start_dev: StartDev, tmp_path: Path, number: signal.Signals
) -> None:
    dev = start_dev(folder=tmp_path)
    done = dev.rest.publish("store", b'{"number": 1}')
    dev.wait_shown("done", f"store  message {done}")
    dev.say("broken")
    failed = dev.rest.publish("flaky", b"again")
    dev.wait_shown("retry", f"flaky  message {failed}, attempt 1")
    dev.rest.publish("shop-dead", b"a letter")
    paused = dev.run("schedules", "pause", "clean_up").stdout
    resumed = dev.run("schedules", "resume", "clean_up-2").stdout
    dev.signal(number)
    dev.wait()
    dev.unsay("broken")

    again = start_dev(folder=tmp_path)

    again.wait_effects("flaky", data="again")
    assert again.shown("retry") == []
    assert again.shown("delivered", "store") == []
    assert "\n1 dead letter is waiting: 1 in shop-dead. " in again.stdout
    assert len(again.rest.pull("shop-dead")) == 1
    assert paused == "clean_up is paused.\n"
    assert resumed.startswith("clean_up-2 runs next: ")
    assert again.rest.job("clean_up")["state"] == "PAUSED"
    assert again.rest.job("clean_up-2")["state"] == "ENABLED"
    (nightly,) = [line for line in again.stdout.splitlines() if "Europe/London" in line]
    assert nightly.endswith("paused")


def test_the_files_are_their_owners_alone_with_a_loose_umask_and_those_of_jobs_become_so(
    start_dev: StartDev, tmp_path: Path
) -> None:
    """An earlier version made the file of jobs for all to read. Messages may be personal data."""
    home = tmp_path / FOLDER
    home.mkdir()
    (home / JOBS).touch(mode=0o644)
    before = os.umask(0)
    try:
        dev = start_dev(folder=tmp_path)
    finally:
        os.umask(before)
    assert dev.run("send", "store", '{"number": 1}').returncode == 0
    assert dev.run("dlq").returncode == 0

    modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}

    assert {JOBS, f"{JOBS}-wal", f"{JOBS}-shm", "history.sqlite3"} <= modes.keys()
    assert set(modes.values()) == {0o600}, modes
    assert home.stat().st_mode & 0o777 == 0o700


def test_reset_starts_empty(start_dev: StartDev, tmp_path: Path) -> None:
    command = [UCAM_FAAS, "emulator", "--port", "0"]
    emulator = Process(command, tmp_path, environ_of(tmp_path))
    try:
        line = wait_until(lambda: emulator.stdout, "it is ready")
        rest = Rest(int(line.split(" (")[0].rpartition(":")[2]))
        assert rest.call("PUT", "projects/local/topics/old").status == 200
    finally:
        emulator.kill()
    assert list((tmp_path / ".ucam-faas").glob("*.sqlite3"))

    dev = start_dev("--reset", folder=tmp_path)

    assert not dev.rest.exists("projects/local/topics/old")


def test_memory_keeps_nothing(start_dev: StartDev, tmp_path: Path) -> None:
    dev = start_dev("--memory", folder=tmp_path)
    dev.rest.publish("store", b'{"number": 1}')
    dev.wait_effects("store", number=1)

    assert dev.end() == 0

    assert "State in memory" in dev.stdout
    left = sorted(path.name for path in (tmp_path / ".ucam-faas").iterdir())
    assert left == [".gitignore", "dev.lock", "tasks.json"]
