"""`--json`: one document on stdout, whatever else is printed; errors are a line on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.sources import Sources
from ucam_faas import cli, exceptions
from ucam_faas.cli import _output
from ucam_faas.cli._errors import CODES, INTERRUPTED

Run = Callable[..., Result]


@pytest.fixture
def ucam_faas(own_logging: None, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line, in an empty directory."""
    monkeypatch.chdir(sources.root)
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


def error_of(stderr: str) -> dict[str, Any]:
    """Return the error that is on a line of stderr."""
    (line,) = (line for line in stderr.splitlines() if line.startswith('{"error": '))
    error: dict[str, Any] = json.loads(line)["error"]
    return error


@pytest.mark.slow
@pytest.mark.parametrize("decorator", ["ucam_faas.raw_event", "broken"])
def test_whatever_a_task_prints_goes_to_stderr(decorator: str, sources: Sources) -> None:
    sources.write(
        "main.py",
        before="import atexit, os, subprocess, warnings, ucam_faas\n"
        "print('at import'); os.write(1, b'from C, without an end')\n"
        "subprocess.run(['echo', 'from a child']); atexit.register(print, 'at exit')\n"
        f"warnings.warn('old')\n@{decorator}\ndef one(event): ...",
    )

    ended = subprocess.run(
        [sys.executable, "-m", "ucam_faas", "tasks", "--json"],
        cwd=sources.root,
        capture_output=True,
        text=True,
    )

    for text in ("at import", "from C", "from a child", "at exit", "old"):
        assert text in ended.stderr
    if decorator == "broken":
        assert ended.stdout == ""
        assert error_of(ended.stderr)["code"] == "source-not-loaded"
    else:
        assert [row["name"] for row in json.loads(ended.stdout)] == ["one"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["tasks", "--json"], "target-unknown"),
        (["tasks", "--json", "--wrong"], "usage"),
        (["jobs", "list", "--state", "wrong", "--json"], "usage"),
        (["publsh", "--json"], "usage"),
        (["--wrong", "jobs", "--json"], "usage"),
        (["jobs", "--json", "show", "x"], "no-local-cloud"),
        (["tasks", "--json", "\udcff.py"], "target-unknown"),
    ],
    ids=str,
)
def test_an_error_has_a_code(ucam_faas: Run, arguments: list[str], code: str) -> None:
    result = ucam_faas(*arguments)

    assert result.stdout == ""
    error = error_of(result.stderr)
    assert (error["code"], error["exit_code"], result.exit_code) == (code, 2, 2)


def test_a_wrong_command_line_is_one_line_of_json(ucam_faas: Run) -> None:
    result = ucam_faas("publsh", "--json")

    assert result.stderr.startswith('{"error": ')
    assert result.stderr.count("\n") == 1


def test_an_error_of_the_code_has_its_place(ucam_faas: Run, sources: Sources) -> None:
    path = sources.write(
        "main.py", before="import ucam_faas\n@ucam_faas.raw_event\ndef f(a, b): ..."
    )

    error = error_of(ucam_faas("tasks", "--json").stderr)

    assert (error["code"], error["file"], error["line"]) == ("task-definition", str(path), 3)


@pytest.mark.parametrize(
    ("raised", "code", "exit_code"),
    [
        (KeyboardInterrupt(), "interrupted", INTERRUPTED),
        (click.Abort(), "declined", 1),
        (ZeroDivisionError("by zero"), "internal", 1),
        (BaseException("of a library"), "internal", 1),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), "encoding", 2),
        (exceptions.InputNotLoadedError("none"), "input-not-loaded", 3),
    ],
    ids=repr,
)
def test_whatever_ends_a_verb_has_a_code(
    ucam_faas: Run,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: str,
    exit_code: int,
) -> None:
    def fails(*arguments: object) -> None:
        raise raised

    monkeypatch.setattr("ucam_faas.cli.tasks.load", fails)

    result = ucam_faas("tasks", "--json")

    error = error_of(result.stderr)
    assert (result.stdout, error["code"]) == ("", code)
    assert error["exit_code"] == result.exit_code == exit_code
    assert ("Traceback" in result.stderr) is (code == "internal")


@pytest.mark.slow
def test_a_full_disk_is_an_error_with_a_code(sources: Sources) -> None:
    sources.write("main.py", "one")

    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "ucam_faas", "tasks", "--json"],
            cwd=sources.root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert (error_of(ended.stderr)["code"], ended.returncode) == ("output", 2)
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_reader_that_takes_the_beginning_gets_no_traceback(sources: Sources) -> None:
    """The document is larger than a pipe."""
    (sources.root / "main.py").write_text(
        "import ucam_faas\n@ucam_faas.message_handler(message_type=None)\n"
        "def one(data): return 'x' * 1_000_000"
    )
    command = f"{sys.executable} -m ucam_faas run one --json | head -c 5"

    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=sources.root,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout) == (1, '{\n  "')
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_an_error_after_a_message_was_sent_names_it(
    ucam_faas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        _output.remember(message_id="7")
        raise KeyboardInterrupt

    monkeypatch.setattr("ucam_faas.cli.tasks.load", fails)

    error = error_of(ucam_faas("tasks", "--json").stderr)

    assert (error["code"], error["message_id"]) == ("interrupted", "7")


def test_control_c_is_one_line_without_json(
    ucam_faas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ucam_faas.cli.tasks.load", interrupted)

    result = ucam_faas("tasks")

    assert (result.exit_code, result.stderr) == (INTERRUPTED, "ucam-faas: Interrupted.\n")


def test_a_document_is_json_for_every_reader(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _output.print_json({"text": "a\udcff Ely é", "numbers": [float("nan"), 1.5]})
    _output.print_event({"lines": "one\ntwo"})

    first, _, second = capfdbinary.readouterr().out.rpartition(b"}\n{")
    assert json.loads(first + b"}") == {"text": "a\ufffd Ely é", "numbers": [None, 1.5]}
    assert "é".encode() in first
    assert second.count(b"\n") == 1


def test_json_before_a_command_of_a_group_counts(ucam_faas: Run, sources: Sources) -> None:
    result = ucam_faas("jobs", "--json", "migrate")

    assert error_of(result.stderr)["code"] == "no-local-cloud"


def test_codes_are_short_and_differ_from_those_of_the_command_line() -> None:
    def classes(root: type[exceptions.UCAMFAASException]) -> list[type[Any]]:
        return [root, *(each for child in root.__subclasses__() for each in classes(child))]

    ours = [
        each for each in classes(exceptions.UCAMFAASException) if "ucam_faas." in each.__module__
    ]
    codes = {each.error_code for each in ours if each.__module__ == exceptions.__name__}

    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)
    assert codes & set(CODES) == {"failed"}
