"""`ucam-faas schedules`, as a user runs it beside `ucam-faas dev`."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.local_cloud import RunCloud
from ucam_faas.cli import main
from ucam_faas.local_state import LocalCloud, write

from .cloud import Dev
from .conftest import StartDev

pytestmark = pytest.mark.slow


def run(*arguments: str, **environ: str | None) -> Result:
    names = ("PUBSUB_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT")
    return CliRunner().invoke(main, ["schedules", *arguments], env=dict.fromkeys(names) | environ)


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("ucam-faas: ")
    return line


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Run an HTTP server that always says the same, and return its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_they_are_listed_with_their_next_runs(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dev.folder)

    header, nightly, yearly = run().output.splitlines()

    assert header.split()[:2] == ["SCHEDULE", "CRON"]
    assert re.match(r"clean_up +0 3 \* \* \* +Europe/London +\w{3} \d\d \w{3} \d{4} \d\d:", nightly)
    assert re.match(r"clean_up-2 +30 6 1 1 \* +Etc/UTC +paused", yearly)


def test_they_are_json_with_their_targets(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dev.folder)

    nightly, yearly = json.loads(run("--json").stdout)

    assert nightly["name"] == "clean_up"
    assert nightly["expression"] == "0 3 * * *"
    assert nightly["target"].startswith("projects/local/topics/")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:00:00\+00:00", nightly["next_run"])
    assert (yearly["paused"], yearly["last_run"]) == (True, None)


def test_each_change_is_the_schedule_as_json(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dev.folder)

    paused = json.loads(run("pause", "clean_up", "--json").stdout)
    resumed = json.loads(run("resume", "clean_up", "--json").stdout)
    unknown = run("--json", "run", "clean-up")

    assert (paused["name"], paused["paused"], paused["next_run"]) == ("clean_up", True, None)
    assert resumed["paused"] is False
    assert resumed.keys() == paused.keys() > {"last_run"}  # other tests may have run it
    assert json.loads(unknown.stderr)["error"]["code"] == "schedule-unknown"


def test_a_run_says_how_its_task_ended(start_dev: StartDev) -> None:
    dev = start_dev()
    dev.say("no-clean-up")
    crashed = dev.run("schedules", "run", "clean_up")
    crash = dev.run("schedules", "run", "clean_up-2", "--json")
    dev.unsay("no-clean-up")
    worked = dev.run("schedules", "run", "clean_up")
    work = dev.run("schedules", "--json", "run", "clean_up")
    dev.rest.call("DELETE", "projects/local/topics/clean_up")
    lost = dev.run("schedules", "run", "clean_up")

    assert crashed.returncode == 1, crashed.stderr
    assert "clean_up was run: it published message 1 for clean_up.\n" in crashed.stdout
    assert "Attempt 1 failed (HTTP status 500); the next one is in " in crashed.stdout
    assert crash.returncode == 1
    document = json.loads(crash.stdout)
    assert (document["name"], document["task"], document["handled"]) == (
        "clean_up-2",
        "clean_up",
        False,
    )
    assert document["steps"][0]["status"] == 500
    assert worked.returncode == 0, worked.stderr
    assert worked.stdout.endswith("Handled by clean_up, attempt 1.\n")
    assert work.returncode == 0
    assert json.loads(work.stdout)["handled"] is True
    assert lost.returncode == 2
    assert "published no message: is there a topic projects/local/topics/clean_up?" in lost.stderr


def test_a_run_elsewhere_says_that_its_end_is_not_known(
    dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"127.0.0.1:{dev.rest.port}"
    target = {"topicName": "projects/local/topics/store", "attributes": {"a": "b"}}
    job = {"name": "projects/local/locations/mine/jobs/own", "schedule": "0 3 * * *"}
    dev.rest.call("POST", "projects/local/locations/mine/jobs", job | {"pubsubTarget": target})
    monkeypatch.chdir(tmp_path)
    environ = {"PUBSUB_EMULATOR_HOST": host, "GOOGLE_CLOUD_PROJECT": "local"}

    told = run("--location", "mine", "run", "own", **environ)
    document = json.loads(run("--location", "mine", "--json", "run", "own", **environ).stdout)

    assert told.exit_code == 0
    assert told.stdout == f"own was run. {host} doesn't tell how its task ended.\n"
    assert (document["handled"], document["steps"]) == (None, [])


def test_googles_need_a_project_and_a_location(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert "need --project and --location" in refused(run("--google", "--project", "p"))


def test_those_of_an_address_are_listed(dev: Dev, tmp_path: Path) -> None:
    host = f"127.0.0.1:{dev.rest.port}"

    result = run(PUBSUB_EMULATOR_HOST=host, GOOGLE_CLOUD_PROJECT="local")
    elsewhere = run(PUBSUB_EMULATOR_HOST=host, GOOGLE_CLOUD_PROJECT="other")

    assert "clean_up-2" in result.output
    assert elsewhere.output == "There are no schedules.\n"
    unknown = run("run", "x", PUBSUB_EMULATOR_HOST=host, GOOGLE_CLOUD_PROJECT="other")
    assert refused(unknown).endswith("There are no schedules.")


def test_an_unknown_one_is_refused_with_the_known_ones(
    dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dev.folder)

    line = refused(run("run", "clean-up"))

    assert "There are: clean_up, clean_up-2." in line


@pytest.mark.parametrize("name", ["../x", "a/b", "ä", "%2e%2e", "a b", "x:run"])
def test_no_name_gets_anywhere_else(dev: Dev, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(dev.folder)

    assert "clean_up" in refused(run("run", name))


def test_without_a_local_cloud_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert "run `ucam-faas dev` in this directory" in refused(run())


def test_help_needs_no_local_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = run("run", "--help")

    assert result.exit_code == 0
    assert "Run the schedule NAME now." in result.output


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"[1]"), (200, b"<html>"), (404, b"{}"), (500, b'{"error": "x"}')]
)
def test_what_is_no_scheduler_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    monkeypatch.chdir(tmp_path)

    with answering(status, body) as host:
        line = refused(run(PUBSUB_EMULATOR_HOST=host))

    assert f"{host} does not answer as a scheduler does" in line


def test_one_that_was_killed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, LocalCloud(pubsub="127.0.0.1:9", project="local", process=str(os.getpid())))

    assert "There is no local cloud: run `ucam-faas dev`" in refused(run())


def test_one_that_does_not_answer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cloud: RunCloud
) -> None:
    monkeypatch.chdir(tmp_path)
    run_cloud(tmp_path, LocalCloud(pubsub="127.0.0.1:9", project="local"))

    assert "Does `ucam-faas dev` run?" in refused(run())


def test_the_schedules_of_another_pubsub_are_here(
    dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cloud: RunCloud
) -> None:
    monkeypatch.chdir(tmp_path)
    scheduler = f"127.0.0.1:{dev.rest.port}"
    run_cloud(tmp_path, LocalCloud(pubsub="h:1", project="local", scheduler=scheduler))

    assert "clean_up" in run().output
    assert "clean_up" in run(PUBSUB_EMULATOR_HOST="h:1").output


def test_more_than_a_page_is_listed(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = "projects/local/locations/many/jobs"
    target = {"topicName": "projects/local/topics/store", "data": "e30="}
    for number in range(501):
        job = {
            "name": f"projects/local/locations/many/jobs/j{number:03}",
            "schedule": "0 3 * * *",
            "pubsubTarget": target,
        }
        assert dev.rest.call("POST", parent, job).status == 200, json.dumps(job)
    monkeypatch.chdir(dev.folder)

    lines = run("--location", "many").output.splitlines()

    assert len(lines) == 502
