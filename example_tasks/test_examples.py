"""The packages are complete, load as one source, and do what their READMEs say."""

from __future__ import annotations

import base64
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from ucam_faas import testing
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task

EXAMPLES = Path(__file__).parent
PACKAGES = sorted(path.parent.name for path in EXAMPLES.glob("*/__init__.py"))
JOBS = {"price_export"}
"""They are started, not called: the tests beside them run their READMEs' commands."""
READMES = ["README.md", *(f"{name}/README.md" for name in PACKAGES if name not in JOBS)]


class Curl(NamedTuple):
    """A request that a README makes, and the answer that it promises."""

    readme: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    answer: str


def curl_lines() -> list[Curl]:
    lines: list[Curl] = []
    for readme in READMES:
        text = (EXAMPLES / readme).read_text()
        blocks = re.findall(r"```sh\n(curl.*?)```.*?```text\n(.*?)\n```", text, re.DOTALL)
        lines += [parse_curl(readme, command, answer) for command, answer in blocks]
    return lines


def parse_curl(readme: str, command: str, answer: str) -> Curl:
    arguments = shlex.split(command.replace("\\\n", ""))
    url, *options = arguments[1:]
    headers, body = {}, None
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "-H":
            name, _, headers[name.lower()] = value.partition(": ")
        else:
            assert option == "-d", f"{readme}: {option} is not understood"
            body = value
    if body is not None:
        headers.setdefault("content-type", "application/x-www-form-urlencoded")  # as curl does
    method = "GET" if body is None else "POST"
    return Curl(readme, method, urlsplit(url).path, headers, body or "", answer)


CURLS = curl_lines()
every_curl = pytest.mark.parametrize("curl", CURLS, ids=lambda curl: f"{curl.readme}:{curl.path}")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks of the whole folder."""
    monkeypatch.setattr(sys, "path", sys.path.copy())  # loading adds to it
    return registry.load(str(EXAMPLES))


@pytest.fixture
def client(
    tasks: list[Task],
    ucam_faas_client: Callable[..., testing.Client],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> testing.Client:
    """The whole folder as it is served; without a network, and with a folder to clean up."""
    for name in ("CLEANUP_DAYS", "PRICES_DATABASE", "SMTP_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLEANUP_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(sys.modules["fan_out.main"], "fetch_status", fetch_status)
    users = sys.modules["user_lookup.main"]
    monkeypatch.setattr(users, "USERS", dict(users.USERS))
    return ucam_faas_client(str(EXAMPLES))


async def fetch_status(url: str) -> int:
    return 200 if url.endswith("/healthy") else 404


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_complete(package: str) -> None:
    names = {path.name for path in (EXAMPLES / package).iterdir()}

    assert {"README.md", "__init__.py", "main.py", f"test_{package}.py"} <= names


def test_every_folder_is_a_package() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}

    assert folders - {"__pycache__"} == set(PACKAGES)


def test_the_table_lists_every_package_with_its_tasks(tasks: list[Task]) -> None:
    text = (EXAMPLES / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(\1/README\.md\) \| (.*?) \|", text, re.MULTILINE)
    listed = {(package, name) for package, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert listed == {(task.module.partition(".")[0], task.name) for task in tasks}


def test_every_task_says_what_it_does(tasks: list[Task]) -> None:
    assert [task.name for task in tasks if not task.summary] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_loads_alone(package: str, tasks: list[Task]) -> None:
    alone = registry.load(str(EXAMPLES / package))

    assert alone == [task for task in tasks if task.module == f"{package}.main"]


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_has_curl_lines_and_an_answer_for_each(readme: str) -> None:
    commands = re.findall(r"^curl ", (EXAMPLES / readme).read_text(), re.MULTILINE)

    assert len(commands) == sum(curl.readme == readme for curl in CURLS) > 0


@every_curl
def test_a_curl_line_gets_the_answer_that_follows_it(curl: Curl, client: testing.Client) -> None:
    response = client.request(curl.method, curl.path, headers=curl.headers, body=curl.body)

    assert response.status // 100 == 2
    if response.headers["content-type"] == "application/json":
        assert response.json() == json.loads(curl.answer)
    else:
        assert response.text == curl.answer


@pytest.mark.parametrize("package", PACKAGES)
def test_the_data_of_a_message_is_what_the_readme_shows(package: str) -> None:
    text = (EXAMPLES / package / "README.md").read_text()
    shown = re.findall(r"base64 form of\n\n```\w+\n(.*?)```", text, re.DOTALL)
    sent = [
        base64.b64decode(json.loads(curl.body)["message"]["data"]).decode().rstrip("\n")
        for curl in CURLS
        if curl.readme == f"{package}/README.md" and shown
    ]

    assert sent == [block.rstrip("\n") for block in shown]


@pytest.mark.parametrize("readme", READMES)
def test_the_paths_in_commands_exist(readme: str) -> None:
    text = (EXAMPLES / readme).read_text()

    named = re.findall(r"\bexample_tasks(/[\w./]+)?", text)

    assert [path for path in named if not (EXAMPLES / path.lstrip("/")).exists()] == []


def test_links_lead_somewhere() -> None:
    missing = [
        f"{readme}: {link}"
        for readme in READMES
        for link in re.findall(r"\]\(([^)#:]+)\)", (EXAMPLES / readme).read_text())
        if not (EXAMPLES / readme).parent.joinpath(link).exists()
    ]

    assert missing == []
