"""How `ucam-faas dev` ends: running tasks are finished, and no process is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.processes import NEVER_SECONDS, UCAM_FAAS, Process, wait_until

from .cloud import can_listen, descendants, environ_of, is_running, wait_ended
from .conftest import StartDev

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]


def test_it_ends_with_0_and_leaves_no_process(start_dev: StartDev) -> None:
    dev = start_dev(UCAM_FAAS_GRACE_SECONDS=NEVER_SECONDS)
    others = descendants(dev.popen.pid)

    code = dev.end(signal.SIGTERM)

    assert code == 0
    assert len(others) >= 2
    assert not any(map(is_running, others))
    assert can_listen(dev.port)
    assert can_listen(dev.rest.port)
    assert dev.stderr == ""
    assert not (dev.folder / ".ucam-faas" / "dev.json").exists()


def test_a_running_task_is_finished_and_its_message_is_done(
    start_dev: StartDev, tmp_path: Path
) -> None:
    dev = start_dev(folder=tmp_path)
    dev.rest.publish("linger", b"a")
    dev.wait_effects("begin", data="a")

    dev.signal(signal.SIGINT)
    dev.wait_shown("ending", "linger")
    dev.say("go")

    assert dev.wait() == 0
    assert dev.shown("done", "linger  message 1, attempt 1")
    again = start_dev(folder=tmp_path)
    again.rest.publish("linger", b"b")
    again.wait_effects("end", data="b")
    assert len(dev.effects("begin", data="a")) == 1


def test_a_second_control_c_does_not_wait_for_a_running_task(
    start_dev: StartDev, tmp_path: Path
) -> None:
    dev = start_dev(folder=tmp_path)
    dev.rest.publish("linger", b"a")
    dev.wait_effects("begin", data="a")
    others = descendants(dev.popen.pid)
    dev.signal(signal.SIGINT)
    dev.wait_shown("ending", "linger")

    assert dev.end() == 0

    assert not any(map(is_running, others))
    again = start_dev(folder=tmp_path)
    again.wait_effects("begin", 2, data="a")


def test_a_hangup_that_comes_twice_waits_for_a_running_task(start_dev: StartDev) -> None:
    """A shell and the kernel both tell it that the terminal is closed."""
    dev = start_dev()
    dev.rest.publish("linger", b"a")
    dev.wait_effects("begin", data="a")

    dev.signal(signal.SIGHUP)
    dev.wait_shown("ending", "linger")
    dev.signal(signal.SIGHUP)
    dev.say("go")

    assert dev.wait() == 0
    assert dev.shown("done", "linger  message 1, attempt 1")


def test_nohup_keeps_it_from_ending_with_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("open('loading', 'w').close(); import time; time.sleep(600)")
    command = ["nohup", UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0", "--no-dashboard"]
    process = Process(command, tmp_path, environ_of(tmp_path))
    try:
        wait_until((tmp_path / "loading").exists, "it is being loaded")

        status = Path(f"/proc/{process.popen.pid}/status").read_text()

        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        assert ignored & 1 << signal.SIGHUP - 1
    finally:
        process.kill()


def test_control_c_ends_it_while_the_tasks_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("open('loading', 'w').close(); import time; time.sleep(600)")
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0"]
    process = Process(command, tmp_path, environ_of(tmp_path))
    try:
        wait_until((tmp_path / "loading").exists, "it is being loaded")
        others = descendants(process.popen.pid)

        process.signal(signal.SIGINT)

        assert process.wait() == 0
        wait_ended(others)
    finally:
        process.kill()


def test_nothing_is_left_when_it_is_killed_while_the_tasks_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("open('loading', 'w').close(); import time; time.sleep(600)")
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0"]
    process = Process(command, tmp_path, environ_of(tmp_path))
    try:
        wait_until((tmp_path / "loading").exists, "it is being loaded")
        others = descendants(process.popen.pid)

        process.signal(signal.SIGKILL)

        process.wait()
        wait_ended(others)
    finally:
        process.kill()


def test_a_running_task_is_finished_when_it_is_killed(start_dev: StartDev) -> None:
    dev = start_dev()
    dev.rest.publish("linger", b"a")
    dev.wait_effects("begin", data="a")
    others = descendants(dev.popen.pid)

    dev.signal(signal.SIGKILL)
    dev.wait()
    wait_until(lambda: can_listen(dev.port), "its port is free", 5.0)
    dev.say("go")

    dev.wait_effects("end", data="a")
    wait_ended(others)


def test_it_says_so_when_the_serving_process_is_gone(start_dev: StartDev) -> None:
    dev = start_dev()
    others = descendants(dev.popen.pid)
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in others}
    serving = min(pid for pid, command in commands.items() if b"serving_process" in command)

    os.kill(serving, signal.SIGKILL)

    assert dev.wait() == 1
    assert dev.shown("error", "the process that serves the tasks ended")
    wait_ended(others)
    assert can_listen(dev.port)
