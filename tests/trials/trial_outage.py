"""PostgreSQL is stopped while `ucam-faas dev` runs, and waits to run, jobs in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.dev.cloud import environ_of, running
from tests.integration.processes import wait_until
from tests.support.postgresql import Server
from tests.trials.running import SECONDS, lines
from ucam_faas.jobs.stores.postgresql import PostgresqlStore

CODE = """
import time
from datetime import timedelta
from pathlib import Path
import ucam_faas

def note(file, text):
    with Path(file).open("a") as lines:
        lines.write(f"{text}\\n")

@ucam_faas.message_handler(timeout=timedelta(seconds=60))
def slow(number: int) -> int:
    note("began", number)
    while not Path("go").exists():
        time.sleep(0.01)
    note("ran", number)
    return number

@ucam_faas.message_handler
def quick(number: int) -> int:
    note("ran", number)
    return number
"""


def test_jobs_go_on_when_postgresql_is_back(postgresql: Server, tmp_path: Path) -> None:
    url = postgresql.new_database()
    store = PostgresqlStore(url)
    store.migrate()
    (tmp_path / "main.py").write_text(CODE)

    with running(tmp_path, UCAM_FAAS_JOB_STORE=url) as dev:

        def script(code: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", f"import main\n{code}"],
                cwd=dev.folder,
                env=environ_of(dev.folder),
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )

        def states() -> dict[str, str]:
            jobs = json.loads(dev.run("jobs", "list", "--json").stdout)
            return {job["id"]: job["state"] for job in jobs}

        code = "main.slow.send(1, id='1')\n"
        code += "main.quick.send(2, id='2', delay=main.timedelta(seconds=3))"
        assert script(code).returncode == 0
        wait_until(lambda: lines(dev, "began"), "it runs")
        postgresql.stop()
        try:
            refused = script("main.quick.send(3, id='3')")
            (dev.folder / "go").touch()
            wait_until(lambda: lines(dev, "ran"), "it has run, and its end isn't stored")
        finally:
            postgresql.start()
        again = script("main.quick.send(3, id='3')")
        wait_until(lambda: set(states().values()) == {"SUCCESS"}, "all have ended", SECONDS)

        assert (refused.returncode, again.returncode) == (1, 0)
        assert refused.stderr.splitlines()[-1].startswith("ucam_faas.exceptions.JobStoreError: ")
        assert sorted(states()) == sorted(lines(dev, "ran")) == ["1", "2", "3"]
        assert dev.output.count("ucam_faas_sweep_failed") == 1
    store.close()
