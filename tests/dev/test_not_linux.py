"""`ucam-faas dev` without the parts of Linux that macOS lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import StartDev

TAKE_AWAY = """
# libraries that choose their parts when they are imported
import asyncio, multiprocessing, subprocess
import google.cloud.pubsub_v1, grpc, gunicorn.arbiter, uvloop, watchfiles
import os, pathlib, sys, sysconfig

sysconfig.get_config_vars()
is_dir = pathlib.Path.is_dir


def hide(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])


for name in ("eventfd", "memfd_create", "pidfd_open", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
os.process_cpu_count = os.cpu_count  # of Python 3.13, which has chosen its part, too
pathlib.Path.is_dir = lambda path: not str(path).startswith("/proc") and is_dir(path)
sys.platform = "darwin"
sys.addaudithook(hide)
open(os.environ["TAKEN_AWAY"], "a").close()
"""


@pytest.mark.slow
def test_a_message_is_handled_where_there_is_no_proc(start_dev: StartDev, tmp_path: Path) -> None:
    """The emulator, the tasks' process, the dashboard, the history and `publish --wait`."""
    (tmp_path / "sitecustomize.py").write_text(TAKE_AWAY)
    taken_away = tmp_path / "taken-away"
    dev = start_dev(PYTHONPATH=str(tmp_path), TAKEN_AWAY=str(taken_away))

    done = dev.run("publish", "store", '{"number": 21}', "--wait")

    assert taken_away.exists()
    assert done.returncode == 0, done.stderr
    assert dev.effects("store", number=21)
    assert dev.shown("done", "store")
