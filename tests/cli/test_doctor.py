"""`ucam-faas doctor`: its findings in a terminal, in a pipe and as JSON; its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import free_port
from tests.support.sources import Sources
from tests.support.terminal import screen_of
from ucam_faas.cli._diagnosis import print_finding
from ucam_faas.doctor.findings import KINDS, Finding, Level, Part

PROBLEM = Part("ports").wrong(
    "port-taken",
    "port 8080 (tasks) is taken by process 4711: python3 -m http.server 8080",
    "End it, or choose another port; 0 takes any.",
    "kill 4711",
    "ucam-faas dev --port 0",
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's matters."""
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": str(Path(sys.executable).parent)}
    return {**paths, "HOME": str(tmp_path), "PORT": str(free_port())}


def doctor(
    folder: Path, environ: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ucam_faas", "doctor", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


@pytest.mark.slow
def test_in_a_pipe_there_are_no_escapes_and_problems_have_exit_code_1(
    sources: Sources, environ: dict[str, str]
) -> None:
    sources.write("main.py", "welcome")
    environ |= {"PUBSUB_EMULATOR_HOST": "8085"}

    done = doctor(sources.root, environ)

    assert done.returncode == 1, done.stdout
    assert "\033" not in done.stdout
    assert re.search(r"^ok +tasks +\./main\.py can be loaded: welcome$", done.stdout, re.MULTILINE)
    assert re.search(r"^problem +pubsub +PUBSUB_EMULATOR_HOST is '8085'", done.stdout, re.M)


@pytest.mark.slow
def test_json_has_a_code_for_each_thing_that_is_wrong(
    sources: Sources, environ: dict[str, str]
) -> None:
    sources.write("main.py", before="import nothing_of_this_name")
    environ |= {"UCAM_FAAS_JOBSTORE": "x"}

    done = doctor(sources.root, environ, "--json")

    findings = json.loads(done.stdout)
    codes = {finding["part"]: finding["code"] for finding in findings if finding["code"]}
    assert codes.items() >= {"tasks": "source-broken", "variables": "variable-unknown"}.items()
    assert {finding["level"] for finding in findings} <= {level.value for level in Level}
    assert done.returncode == 1


def test_every_code_is_documented_and_made_somewhere() -> None:
    package = Path(__file__).parent.parent.parent / "ucam_faas/doctor"
    text = "".join(path.read_text() for path in package.glob("*.py") if path.name != "findings.py")

    assert [code for code in KINDS if f'"{code}"' not in text] == []


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_finding_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    lines = screen_of(lambda: print_finding(PROBLEM, is_first=True), columns).splitlines()

    assert max(map(len, lines)) <= min(columns, 100)
    assert lines[0].startswith("problem  ports")
    assert lines[-2].endswith("    $ kill 4711")


def test_commands_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"rm {'x' * 200}"

    print_finding(
        Finding("state", Level.WARNING, "what", "state-stale", "Do it.", (command,)), is_first=True
    )

    assert f"$ {command}\n" in capsys.readouterr().out


@pytest.mark.parametrize("variable", ["NO_COLOR", None])
def test_colours_are_for_terminals_that_want_them(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")

    shown = screen_of(lambda: print_finding(PROBLEM, is_first=True), 80)

    assert ("\033[31m" in shown) is (variable is None)


def test_a_part_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_finding(Part("ports").ok("free: 8080"), is_first=False)

    assert capsys.readouterr().out == f"ok{'':20}free: 8080\n"
