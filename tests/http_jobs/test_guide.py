"""docs/http-jobs.md: its tasks under `ucam-faas dev`, and its curl lines as they are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dev.cloud import Dev, running

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs/http-jobs.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
LINES = re.findall(r"\$ (curl .*)\n((?:[^$`].*\n)+)", PAGE)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("http-jobs")
    (folder / "main.py").write_text(CODE)
    with running(folder) as dev:
        yield dev


def curl(dev: Dev, line: str) -> str:
    line = line.replace("127.0.0.1:8080", f"127.0.0.1:{dev.port}")
    return subprocess.run(
        line, shell=True, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_the_pages_curl_lines_are_answered_as_it_shows(dev: Dev) -> None:
    assert len(LINES) == 5
    for line, shown in LINES:
        *head, body = shown.splitlines()

        *headers, answer = curl(dev, line).splitlines()

        assert {*head} <= {*headers}
        expected: dict[str, Any] = json.loads(body)
        assert {**json.loads(answer), **expected} == json.loads(answer)


def test_a_request_waits_for_the_end_of_a_job_that_runs_later(dev: Dev) -> None:
    url = "http://127.0.0.1:8080/jobs/charge"
    sent = json.loads(curl(dev, f"curl -s '{url}?delay=1' -d '{{\"id\": 1}}' -H 'Content-Type:'"))

    job = json.loads(curl(dev, f"curl -s '{url}/{sent['id']}?wait=30'"))

    assert (job["state"], job["result"]) == ("SUCCESS", {"order": 1, "paid": 100})


def test_dev_shows_where_jobs_go(dev: Dev) -> None:
    assert f"Jobs over HTTP go to {dev.url}/jobs; see {dev.url}/jobs/openapi.json." in dev.stdout
