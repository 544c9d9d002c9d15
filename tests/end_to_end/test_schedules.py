"""Schedules that Terraform has made: they call a service by a message, and start a job."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.clients.gcloud import Gcloud
from tests.clients.sink import Sink
from ucam_faas.local_testing import EmbeddedCloud

from . import cloud, guide
from .deployed import Deployed, Workload

pytestmark = pytest.mark.slow

LONDON = ZoneInfo("Europe/London")
A_MOMENT = timedelta(milliseconds=1)
DATABASE, EXPORT = "PRICES_DATABASE", "PRICES_EXPORT"


@pytest.fixture
def old_export(exports: Path) -> Path:
    """A file that the schedule is to remove."""
    path = exports / "old.csv"
    path.touch()
    long_ago = time.time() - timedelta(days=31).total_seconds()
    os.utime(path, (long_ago, long_ago))
    return path


def test_a_schedule_fires_when_it_is_time_in_its_zone(
    local: EmbeddedCloud, old_export: Path
) -> None:
    three_o_clock = datetime(2026, 7, 5, 3, tzinfo=LONDON)

    local.advance(three_o_clock - A_MOMENT - local.clock.now())
    before = old_export.exists()
    local.advance(A_MOMENT)

    assert (before, old_export.exists()) == (True, False)


def test_a_schedule_is_run_by_hand(local: EmbeddedCloud, gcloud: Gcloud, old_export: Path) -> None:
    (command,) = guide.commands("gcloud scheduler jobs run")

    guide.run(gcloud, command)
    local.wait_idle()

    assert not old_export.exists()


def test_a_schedule_starts_a_job_which_runs_to_its_end(
    local: EmbeddedCloud, deployed: Deployed, admin: Sink, tmp_path: Path
) -> None:
    two_o_clock_on_sunday = datetime(2026, 7, 5, 2, tzinfo=LONDON)

    local.advance(two_o_clock_on_sunday - A_MOMENT - local.clock.now())
    assert admin.requests.empty()
    local.advance(A_MOMENT)

    started = admin.wait()
    match = re.fullmatch(r"/v2/projects/.+/locations/.+/jobs/(.+):run", started.path)
    assert started.method == "POST"
    assert match
    job = deployed.job(match[1])
    with_prices = prices(job, tmp_path)
    with cloud.execution(job, with_prices) as container:
        assert container.wait() == 0, container.output()
        (line,) = container.log(task="export_prices")
    assert line["outcome"] == "done"
    exported = tmp_path / Path(job.environment[EXPORT]).name
    assert exported.read_text() == "sku,pence\nA1,250\n"


def prices(job: Workload, folder: Path) -> str:
    """Make a database, and return the option that puts it where the job looks for it."""
    path = Path(job.environment[DATABASE])
    with closing(sqlite3.connect(folder / path.name)) as connection, connection:
        connection.execute("CREATE TABLE prices (sku TEXT PRIMARY KEY, pence INTEGER NOT NULL)")
        connection.execute("INSERT INTO prices VALUES ('A1', 250)")
    folder.chmod(0o777)
    return f"--volume={folder}:{path.parent}"


def test_a_job_that_fails_ends_with_an_error(deployed: Deployed) -> None:
    """Cloud Run then runs it again; here it has no database."""
    with cloud.execution(deployed.job("export-prices")) as container:
        assert container.wait() != 0
