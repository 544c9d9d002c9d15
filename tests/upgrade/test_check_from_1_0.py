"""`ucam-faas check --from 1.0`: each rule finds its change, at its line, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from ucam_faas.cli import main
from ucam_faas.deploy.findings import Finding
from ucam_faas.upgrade import in_python
from ucam_faas.upgrade.changes import CHANGES, NAMES
from ucam_faas.upgrade.search import BREAKS, UNREADABLE, search

Look = Callable[[dict[str, str]], list[Finding]]
GOOD = """\
from datetime import timedelta
import ucam_faas
from ucam_faas import CloudEventType, HandlerExecutionOptions, cloud_event
from ucam_faas.messages import message_handler

@message_handler(message_type=bytes, timeout=timedelta(minutes=1))
def store(data): ...

@ucam_faas.raw_event
def ok(body: bytes): return "done"

parse = CloudEventType(event_type="com.example", event_data_model=object)

@ucam_faas.cloud_event_handler(
    event_data_parser=parse, options=HandlerExecutionOptions(make_http_response=None)
)
def created(data): ...
"""
IN_ORDER = {"main.py": GOOD, "requirements.txt": "ucam-faas[storage,testing]>=1.0\n"}


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Write files, and return the findings in them."""
    monkeypatch.chdir(tmp_path)

    def search_in(files: dict[str, str]) -> list[Finding]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return search(Path())[1]

    return search_in


TASK = "import ucam_faas\nfrom ucam_faas import cloud_event, message_handler, raw_event\n"
CASES = [
    (
        "cloud-event-annotation",
        "main.py:5",
        {
            "main.py": f"{TASK}from cloudevents.http import CloudEvent\n"
            "@cloud_event\ndef one(event: CloudEvent): ...\n"
        },
    ),
    (
        "cloud-event-annotation",
        "main.py:4",
        {
            "main.py": f"{TASK}@ucam_faas.cloud_event\n"
            "async def one(e: 'cloudevents.http.CloudEvent'): ...\n"
        },
    ),
    ("time-limit", "main.py:4", {"main.py": f"{TASK}@raw_event\ndef one(body): ...\n"}),
    (
        "workers",
        "main.py:4",
        {"main.py": f"{TASK}@raw_event\ndef one(body): ...\n", "Dockerfile": "FROM x\n"},
    ),
    (
        "cloud-event-returns",
        "main.py:5",
        {"main.py": f"{TASK}@cloud_event\ndef one(data):\n    if data: return 1\n"},
    ),
    (
        "parser-exceptions",
        "main.py:4",
        {
            "main.py": f"{TASK}def read(event): ...\n"
            "@ucam_faas.cloud_event_handler(event_data_parser=read)\ndef one(data): ...\n"
        },
    ),
    (
        "raw-input",
        "main.py:4",
        {
            "main.py": f"{TASK}@raw_event\ndef one(body): ...\n",
            "job.yaml": "args: [--long-running]\n",
        },
    ),
    (
        "message-type",
        "main.py:3",
        {"main.py": f"{TASK}@message_handler(message_type=dict)\ndef one(data): ...\n"},
    ),
    ("name-reserved", "main.py:4", {"main.py": f"{TASK}@cloud_event\ndef status(data): ...\n"}),
    ("name-topic", "main.py:4", {"main.py": f"{TASK}@cloud_event\ndef go(data): ...\n"}),
    (
        "log-records",
        "alerts.tf:1",
        {"alerts.tf": 'filter = "jsonPayload.execution.status=ABORTED"\n'},
    ),
    (
        "log-records",
        "test_main.py:2",
        {"test_main.py": "import ucam_faas\nassert caplog.records[0].msg['execution']\n"},
    ),
    ("alert-severity", "alerts.tf:1", {"alerts.tf": 'filter = "severity>=ERROR"\n'}),
    ("result-json", "main.py:2", {"main.py": "import ucam_faas\nlogger.get_result_json(info)\n"}),
    (
        "result-logger",
        "main.py:2",
        {"main.py": "import ucam_faas\nucam_faas.StructlogJsonExecutionResultLogger(logger=x)\n"},
    ),
    (
        "capture-logs",
        "test_main.py:2",
        {"test_main.py": "import ucam_faas\nfrom structlog.testing import capture_logs\n"},
    ),
    (
        "name-gone",
        "main.py:1",
        {"main.py": "from ucam_faas.contextual_handlers import contextual_handler\n"},
    ),
    (
        "name-gone",
        "main.py:3",
        {"main.py": "from ucam_faas import (\n    cloud_event,\n    run_ucam_faas,\n)\n"},
    ),
    (
        "name-gone",
        "main.py:2",
        {"main.py": "import ucam_faas as faas\nfaas.load_function('a', 'b')\n"},
    ),
    ("name-gone", "main.py:1", {"main.py": "from ucam_faas.tests.fixtures import *\n"}),
    (
        "name-gone",
        "main.py:2",
        {"main.py": "import ucam_faas\nmock.patch('ucam_faas.loading.load_function')\n"},
    ),
    ("name-gone", "main.py:1", {"main.py": "from ucam_faas import event_handler\n"}),
    (
        "context-argument",
        "main.py:2",
        {"main.py": "import ucam_faas\nucam_faas.CloudEventHandlerContext(cloud_event=x)\n"},
    ),
    (
        "fixture-gone",
        "test_main.py:2",
        {"test_main.py": "import ucam_faas\ndef test(cleanup_functions_framework): ...\n"},
    ),
    (
        "fixture-gone",
        "test_main.py:1",
        {"test_main.py": "usefixtures('cleanup_functions_framework')\n"},
    ),
    (
        "options-positional",
        "main.py:2",
        {"main.py": "import ucam_faas\nucam_faas.HandlerExecutionOptions(a, b)\n"},
    ),
    (
        "executor-parameters",
        "main.py:2",
        {
            "main.py": "from ucam_faas.cloud_events import CloudEventHandlerExecutorFn as Fn\n"
            "x: Fn[int, str, bool, bytes]\n"
        },
    ),
    ("requirement", "requirements.txt:2", {"requirements.txt": "flask\nucam-faas[testing]~=1.0\n"}),
    (
        "requirement",
        "pyproject.toml:3",
        {
            "pyproject.toml": '[project]\ndependencies = [\n  "ucam_faas==1.0.3",\n]\n'.replace(
                "ucam_faas", "ucam-faas"
            )
        },
    ),
    (
        "requirement",
        "pyproject.toml:2",
        {"pyproject.toml": '[tool.poetry.dependencies]\nucam-faas = "^1.0"\n'},
    ),
    (
        "requirement",
        "pyproject.toml:2",
        {
            "pyproject.toml": "[tool.poetry.dependencies]\n"
            'ucam-faas = {version = "~1.0", extras = ["testing"]}\n'
        },
    ),
    (
        "python-version",
        "pyproject.toml:2",
        {"pyproject.toml": '[project]\nrequires-python = ">=3.10"\n'},
    ),
    (
        "python-version",
        "pyproject.toml:2",
        {"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.10"\n'},
    ),
    ("python-version", "Dockerfile:1", {"Dockerfile": "FROM python:3.10-slim AS build\n"}),
    (
        "base-image",
        "Dockerfile:2",
        {"Dockerfile": "# the image\nFROM registry.example.org/lib/ucam-faas-python/base:1.0\n"},
    ),
    (
        "extra-storage",
        "job.yaml:1",
        {"job.yaml": "INPUT_BUCKET: shop\n", "requirements.txt": "ucam-faas\n"},
    ),
    (
        "extra-testing",
        "test_main.py:1",
        {
            "test_main.py": "from ucam_faas.testing import CloudEventFactory\n",
            "requirements.txt": "ucam-faas\n",
        },
    ),
    (
        "package-undeclared",
        "main.py:2",
        {"main.py": "import os\nimport requests.auth\n", "requirements.txt": "ucam-faas\n"},
    ),
    (
        "package-undeclared",
        "main.py:1",
        {
            "main.py": "from google.cloud import storage\n",
            "pyproject.toml": '[tool.poetry.dependencies]\nucam-faas = "*"\n',
        },
    ),
    (
        "terraform-module",
        "main.tf:2",
        {"main.tf": 'module "faas" {\n  source = "gitlab.example.org/uis/gcp-faas/google"\n}\n'},
    ),
    ("cron-list", "main.tf:1", {"main.tf": '    cron_schedules = ["0 3 * * *"]\n'}),
]


@pytest.mark.parametrize(("rule", "place", "files"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_change_is_found_at_its_line(
    look: Look, rule: str, place: str, files: dict[str, str]
) -> None:
    findings = [each for each in look(files) if each.rule == rule]

    assert [str(finding.place) for finding in findings] == [place]
    assert all(each.why.endswith(".") and each.fix.endswith(".") for each in findings)


def test_every_rule_has_a_case() -> None:
    assert {change.rule for change in CHANGES if change.rule} == {case[0] for case in CASES}


def test_code_that_needs_no_change_has_no_finding(look: Look) -> None:
    rules = {each.rule for each in look(IN_ORDER)}

    assert rules == {"time-limit", "workers"}, "two that may not concern its author"


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "ucam-faas>=1.0,<3\n-r other.txt\n# ucam-faas==1.0\n"},
        {"requirements.txt": "ucam-faas @ git+https://example.org/x\n"},
        {"pyproject.toml": "[project\n"},
        {"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nucam-faas = "*"\n'},
        {"main.py": "import requests\n"},
        {"main.py": "import requests\n", "requirements.txt": "ucam-faas\nRequests\n"},
        {"main.py": "def event_handler(): ...\nother.run_ucam_faas()\n"},
        {"main.py": "from ucam_faas.testing import serve\nfrom ucam_faas import testing\n"},
        {"main.py": "from ucam_faas import ExecutionInfo\nExecutionInfo.from_context.anything\n"},
        {".venv/lib/x.py": "from ucam_faas import run_ucam_faas\n"},
        {"env39/pyvenv.cfg": "", "env39/x.py": "from ucam_faas import run_ucam_faas\n"},
        {"main.tf": 'source = "git::https://example.org/ucam-faas.git//terraform?ref=2"\n'},
        {"main.tf": 'filter = "jsonPayload.execution_info.status"\n# severity>=ERROR\n'},
    ],
    ids=lambda files: " ".join(files),
)
def test_what_needs_no_change_is_not_reported(look: Look, files: dict[str, str]) -> None:
    assert look(files) == []


def test_a_file_that_is_not_python_is_named(look: Look) -> None:
    (finding,) = look({"main.py": "print 'old'\n"})

    assert (finding.rule, str(finding.place)) == (UNREADABLE, "main.py:1")


@pytest.mark.parametrize(
    "content",
    [
        "\ufefffrom ucam_faas import with_notes\n".encode(),
        "# coding: latin-1\nfrom ucam_faas import with_notes  # für\n".encode("latin-1"),
        b"from ucam_faas import with_notes\nwrong = '\\d'\n",
    ],
)
def test_python_is_read_as_python_reads_it(look: Look, tmp_path: Path, content: bytes) -> None:
    """Warnings are errors in tests; the escape in the last file makes one."""
    (tmp_path / "main.py").write_bytes(content)

    rules = [finding.rule for finding in look({})]

    assert rules == ["name-gone"]


def test_the_installed_version_is_the_one_that_a_requirement_must_admit(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "2.3.0")

    assert look({"requirements.txt": "ucam-faas>=2.1\n"}) == []
    (finding,) = look({"requirements.txt": "ucam-faas<2.3\n"})
    assert finding.rule == "requirement"


def test_findings_that_fail_come_first(look: Look) -> None:
    files = {
        "a.py": f"{TASK}@cloud_event\ndef one(data): ...\n",
        "b.py": "from ucam_faas import with_notes\n",
    }

    rules = [finding.rule for finding in look(files)]

    assert rules == ["name-gone", "time-limit"]


def test_names_in_the_table_are_gone() -> None:
    """A name that came back would be reported as gone."""
    names = [name for change in NAMES for name in change.names]

    whole = [name if name.startswith("ucam_faas.") else f"ucam_faas.{name}" for name in names]
    assert [name for name in whole if not in_python._first_gone(name)] == []


def test_nothing_is_imported(look: Look, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import ucam_faas\nraise SystemExit('imported')\n")

    look({})

    assert "main" not in sys.modules


def test_the_command_counts_and_has_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text(
        f"{TASK}@message_handler(message_type=dict)\ndef one(data): ...\n"
    )
    monkeypatch.chdir(tmp_path)

    shown = CliRunner().invoke(main, ["check", "--from", "1.0"])
    as_json = CliRunner().invoke(main, ["check", "--from", "1.0", "main.py", "--json"])
    nowhere = CliRunner().invoke(main, ["check", "--from", "1.0", "nowhere"])

    assert (shown.exit_code, as_json.exit_code, nowhere.exit_code) == (1, 1, 2)
    assert "1 would fail, 1 may behave differently: 1 Python file and 0 other" in shown.output
    first, second = json.loads(as_json.stdout)
    assert (first["rule"], first["line"]) == ("message-type", 3)
    assert second["rule"] not in BREAKS


@pytest.mark.parametrize("option", ["--stage", "--against", "--plan"])
def test_options_that_would_not_be_read_are_refused(option: str) -> None:
    result = CliRunner().invoke(main, ["check", "--from", "1.0", option, "x"])

    assert result.exit_code == 2
    assert f"--from doesn't take {option}" in result.stderr
