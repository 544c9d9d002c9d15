"""`ucam-faas dev` keeps its jobs in Firestore, and a script beside it needs no setting."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.cloud import environ_of, running
from tests.support.firestore import Firestore
from ucam_faas.jobs.rows import Key

pytestmark = pytest.mark.slow

SCRIPT = """
import main

parent = main.second_time.send(main.Order(id=1), id="order-1")
print(parent.result(timeout=60), main.charge.send(main.Order(id=2)).result(timeout=60).order)
"""


def test_jobs_run_and_are_retried_under_dev(firestore: Firestore, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("tasks.py"), tmp_path / "main.py")
    project = firestore.new_project()
    environ = {
        "UCAM_FAAS_JOB_STORE": f"firestore:{project}",
        "FIRESTORE_EMULATOR_HOST": firestore.host,
    }

    with running(tmp_path, **environ):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=tmp_path,
            env=environ_of(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )

    assert done.stdout == "2 2\n", done.stderr
    store = firestore.store(project=project)
    row = store.get(Key("default", "second_time", "order-1"))
    store.close()
    assert row is not None
    causes = [entry.cause for entry in row.history]
    assert causes == ["sent", "claimed", "failed", "claimed", "finished"]
