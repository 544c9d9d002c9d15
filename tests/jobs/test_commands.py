"""`ucam-faas send` and `ucam-faas jobs` under a real `ucam-faas dev`, which tells of the jobs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.dev.cloud import Dev
from tests.integration.processes import wait_until
from tests.support.postgresql import Server
from ucam_faas.cli import main
from ucam_faas.execution import runtime

pytestmark = pytest.mark.slow
on_one_store = pytest.mark.parametrize("dev", ["sqlite"], indirect=True)


@on_one_store
def test_a_job_is_sent_and_followed_to_its_result(dev: Dev) -> None:
    done = dev.run("send", "charge", '{"id": 901}', "--id", "order-901", "--wait")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"order": 901, "executions": 1}
    assert done.stderr.endswith("  SUCCESS   finished, run 1\n")
    start = "charge  job order-901, attempt 1"  # started, if dev looks after the claim
    wait_until(lambda: dev.shown("starting", start) + dev.shown("started", start), "its start")
    dev.wait_shown("done", "charge  job order-901, attempt 1, took")
    assert dev.shown("delivered", "charge-inbox") == []
    assert dev.shown("published", "charge-inbox") == []


@on_one_store
def test_a_retry_is_told_with_its_time(dev: Dev) -> None:
    done = dev.run("send", "second_time", '{"id": 902}', "--id", "order-902", "--wait")

    assert done.stdout == "2\n"
    (line,) = dev.wait_shown("retry", "job order-902")
    assert line.startswith("second_time  job order-902, attempt 1 failed")


@on_one_store
def test_a_failure_is_shown_and_run_again(dev: Dev) -> None:
    failed = dev.run("send", "refuse", '{"id": 903}', "--id", "order-903", "--wait")
    again = dev.run("jobs", "retry", "order-903")
    dev.wait_shown("dead", "refuse  job order-903, FAILURE after 1 attempt", count=2)
    listed = dev.run("jobs", "list", "--task", "refuse", "--json")

    assert (failed.returncode, again.returncode) == (1, 0)
    (job,) = (job for job in json.loads(listed.stdout) if job["id"] == "order-903")
    assert (job["state"], job["executions"]) == ("FAILURE", 2)


@on_one_store
def test_a_lane_is_sent_to_paused_and_resumed(dev: Dev) -> None:
    dev.run("lanes", "pause", "pack", "lane-1")
    sent = dev.run("send", "pack", '{"id": 904}', "--id", "order-904", "--lane", "lane-1")
    (line,) = dev.wait_shown("paused", "pack  job order-904")
    listed = dev.run("jobs", "list", "--lane", "lane-1", "--json")
    dev.run("lanes", "resume", "pack", "lane-1")
    waited = dev.run("jobs", "wait", "order-904")

    assert (sent.returncode, waited.returncode) == (0, 0), sent.stderr + waited.stderr
    assert line.endswith("until: ucam-faas lanes resume pack lane-1")
    assert [(job["id"], job["state"]) for job in json.loads(listed.stdout)] == [
        ("order-904", "PENDING")
    ]
    assert "pack-inbox-lane-1" in waited.stdout


def test_a_database_gets_its_table_and_then_its_jobs_are_listed(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.new_database()
    monkeypatch.setenv("UCAM_FAAS_JOB_STORE", url)
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, arguments)
        return result.exit_code, result.output

    before, made, again, listed = (
        run("jobs", *verb) for verb in (["list"], ["migrate"], ["migrate"], ["list"])
    )
    store = runtime.store_of(runtime.of_environment().settings)
    assert store is not None
    store.close()

    shown = url.replace("postgres@", "")
    assert before[0] == 2
    assert "run `ucam-faas jobs migrate`" in before[1]
    assert made == again == (0, f"{shown} has its table.\n")
    assert listed == (0, f"There are no jobs in {shown} (application 'ucam-faas').\n")
