"""The documents say what is so: code runs, links lead somewhere, tables are up to date."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import ucam_faas
from tests.support import snippets
from ucam_faas.completion.commands import FILE as COMMANDS
from ucam_faas.config import Settings
from ucam_faas.execution import dead_letters, replays
from ucam_faas.testing import Client, serve

ROOT = Path(__file__).parent.parent
FOLDERS = ("", "benchmarks/", "docs/**/", "example_tasks/**/", "terraform/**/")
DOCUMENTS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}*.md"))


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Client]]:
    """Serve the text of a main.py."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "main", raising=False)
    with ExitStack() as stack:

        def start(code: str) -> Client:
            (tmp_path / "main.py").write_text(code)
            return stack.enter_context(serve(str(tmp_path / "main.py")))

        yield start
    sys.modules.pop("main", None)


def test_the_readmes_task_takes_the_readmes_message(served: Callable[[str], Client]) -> None:
    (code,) = blocks("README.md", "python")
    (publish,) = [line for line in blocks("README.md", "sh") if line.startswith("ucam-faas")]
    *_, task, data = shlex.split(publish)

    response = served(code).push(task, json.loads(data))

    assert (response.status, response.text) == (200, "OK")


def test_the_readme_is_read_in_a_minute() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


@pytest.mark.parametrize("number", [0, 1])
def test_the_tutorials_task_answers_its_curl_lines(
    served: Callable[[str], Client], number: int
) -> None:
    commands = [block for block in blocks("docs/tutorial.md", "sh") if block.startswith("curl")]
    arguments = shlex.split(commands[number].replace("\\\n", ""))
    name, _, value = arguments[arguments.index("-H") + 1].partition(": ")
    body = arguments[arguments.index("-d") + 1]

    client = served(blocks("docs/tutorial.md", "python")[1])
    response = client.post(urlsplit(arguments[1]).path, body=body, headers={name: value})

    assert (response.status, response.text) == (200, "OK")


def test_the_readmes_commands_are_targets_of_the_makefile() -> None:
    commands = re.findall(r"^make ([a-z-]+)", "\n".join(blocks("README.md", "sh")), re.MULTILINE)

    makefile = (ROOT / "Makefile").read_text()

    assert commands == ["run", "test"]
    assert all(f"\n{command}: " in makefile for command in commands)


def test_the_code_of_the_guide_runs(ucam_faas_client: Callable[..., Client]) -> None:
    names: dict[str, object] = {"ucam_faas": ucam_faas}

    for block in blocks("docs/tasks.md", "python"):
        exec(compile(block, "docs/tasks.md", "exec"), names)

    client = ucam_faas_client(names["clean_up"])
    assert client.push("clean_up").status == 200


def test_the_code_of_the_http_page_answers(ucam_faas_client: Callable[..., Client]) -> None:
    names: dict[str, Any] = {}
    (block,) = blocks("docs/http.md", "python")
    exec(compile(block, "docs/http.md", "exec"), names)

    client = ucam_faas_client(names["room"], names["add_room"], names["rooms"])
    made = client.post("/rooms", json={"name": "Attic"})

    assert client.get("/rooms/1").json() == {"name": "Library", "language": "en"}
    assert client.get("/rooms/9").status == 404
    assert client.get(made.headers["location"]).json()["name"] == "Attic"
    assert client.get("/rooms").json() == ["Library", "Kitchen", "Attic"]


PAY_BACK = """
from datetime import timedelta
import ucam_faas

@ucam_faas.message_handler(
    timeout=timedelta(minutes=5), retry=ucam_faas.RetryPolicy(max_attempts=10)
)
def pay_back(data: bytes) -> None: ...
"""


@pytest.mark.slow
def test_the_finding_that_the_page_on_checks_shows_is_what_the_check_prints(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PAY_BACK)
    lines = "[task.pay_back]\nmessage_retention_seconds = 3000\n"
    (tmp_path / "ucam-faas.toml").write_text(lines)
    (finding,) = blocks("docs/check.md", "text")[:1]

    result = subprocess.run(
        [sys.executable, "-m", "ucam_faas", "check"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "97"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finding in result.stdout


@pytest.mark.slow
def test_the_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs/generate.py"), "--check"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.stdout + result.stderr == ""


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    sections = re.split(r"^## ucam-faas ?", (ROOT / "docs/commands.md").read_text(), flags=re.M)
    pages = {section.partition("\n")[0]: section for section in sections[1:]}
    root = json.loads(COMMANDS.read_text())

    words = {verb: words_of(command) for verb, command in root["commands"].items()}
    words[""] = {*root["options"]} - {"--help"}

    assert pages.keys() == words.keys()
    assert [(verb, word) for verb in words for word in words[verb] if word not in pages[verb]] == []


def words_of(command: dict[str, Any]) -> set[str]:
    """Return how a command's page names its options, and its commands and theirs."""
    below = command.get("commands", {})
    words = {f"`{name} [OPTIONS]" for name in below} | {*command["options"]} - {"--help"}
    return words.union(*(words_of(each) for each in below.values()))


@pytest.mark.parametrize("document", snippets.DOCUMENTS)
def test_each_block_is_what_its_fence_says(document: str, tmp_path: Path) -> None:
    complaints = [
        complaint
        for block in snippets.blocks_of(document)
        for complaint in snippets.complaints_of(block, tmp_path)
    ]

    assert complaints == []


@pytest.mark.parametrize("document", snippets.WITH_PYTHON)
def test_the_python_of_a_document_runs(document: str) -> None:
    runner = snippets.RUN_BY.get(document)
    if runner is not None:
        assert Path(document).name in (ROOT / runner).read_text()
        return
    names: dict[str, object] = {"__name__": "main"}

    for block in snippets.blocks_of(document, "python"):
        code = "\n" * block.line + block.text
        exec(compile(code, str(ROOT / document), "exec"), names)


def test_the_tests_that_run_documents_are_those_of_documents_with_python() -> None:
    assert snippets.RUN_BY.keys() <= set(snippets.WITH_PYTHON)


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(
        r"^- \[.*?\]\((.*?)\):", (ROOT / "docs/README.md").read_text(), re.MULTILINE
    )
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}

    assert pages - set(listed) == set(), "Add it to a section of docs/README.md, the navigation."
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"<!-- site: .*?-->", "", document.read_text())  # pages that are generated
    links = re.findall(r"\]\(([^)#]+)", text)

    missing = [link for link in links if not (document.parent / link).exists()]

    assert missing == []


def test_every_picture_is_shown_and_small() -> None:
    pictures = {f"pictures/{path.name}": path for path in ROOT.glob("docs/pictures/*")}

    shown = set().union(
        *(re.findall(r"pictures/[\w-]+\.png", path.read_text()) for path in DOCUMENTS)
    )

    assert shown == pictures.keys()
    assert [name for name, path in pictures.items() if path.stat().st_size > 100_000] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_a_section_lead_to_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text())

    missing = [
        (path, anchor)
        for path, anchor in links
        if anchor not in anchors(document.parent / path if path else document)
    ]

    assert missing == []


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_environment_variable_that_the_documents_name_exists() -> None:
    from dataclasses import fields

    known = {spec.metadata["variable"] for spec in fields(Settings)}

    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"\bUCAM_FAAS_[A-Z_]+\b", document.read_text())
    }

    assert named <= known


def test_every_log_message_of_the_code_is_documented() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "ucam_faas").rglob("*.py"))
    messages = set(re.findall(r'"((?:ucam_faas|function)_[a-z_]{6,})"', code))
    documented = (ROOT / "docs/logging.md").read_text()

    fixtures = {"ucam_faas_client", "ucam_faas_clock", "ucam_faas_env_file"}
    attributes = {"ucam_faas_trigger", "ucam_faas_job", *dead_letters.ADDED_ATTRIBUTES}
    attributes |= {replays.REPLAY_ID_ATTRIBUTE, replays.REPLAYS_ATTRIBUTE}
    others = fixtures | attributes
    missing = {name for name in messages - others if name not in documented}

    assert missing == set()


def test_no_document_names_a_machine() -> None:
    home = os.path.expanduser("~")

    named = [
        path for path in DOCUMENTS if home in path.read_text() or str(ROOT) in path.read_text()
    ]

    assert named == []
