"""A new option costs one entry in the table: everything else follows from it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import ucam_faas
from ucam_faas import TaskDefinitionError
from ucam_faas.deploy.value_checks import matches
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import OPTIONS

from .conftest import Project

ROOT = Path(__file__).parents[2]
SCRATCH = Option(
    name="scratch",
    doc="size of the scratch disk",
    takes="`1Gi` to `9Gi`",
    check=matches("[1-9]Gi", "1Gi to 9Gi"),
    default="1Gi",
    configurable="anywhere",
    terraform="function.scratch_gibibytes",
    express=lambda size: int(size.removesuffix("Gi")),
    taken_by=OPTIONS["memory"].taken_by,
)
TASKS = """
    import ucam_faas

    billing = ucam_faas.TaskCollection(scratch="2Gi")

    @ucam_faas.message_handler(message_type=None)
    def by_default(data): ...

    @billing.message_handler(message_type=None)
    def of_collection(data): ...

    @billing.message_handler(message_type=None, scratch="3Gi")
    def of_decorator(data): ...

    @ucam_faas.raw_event(scratch="3Gi")
    def of_file(data): ...
"""
CONFIGURATION = """
    [task.of_file]
    scratch = "4Gi"
"""


@pytest.fixture(autouse=True)
def option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPTIONS, "scratch", SCRATCH)


def test_a_new_option_goes_from_code_and_configuration_to_terraform(project: Project) -> None:
    project.write("main.py", TASKS)
    project.write("ucam-faas.toml", CONFIGURATION)

    result = project.run("plan", "--json")

    tasks = json.loads(result.stdout)["tasks"]
    planned = {name: task["function"]["scratch_gibibytes"] for name, task in tasks.items()}
    assert planned == {"by_default": 1, "of_collection": 2, "of_decorator": 3, "of_file": 4}


def test_a_new_option_has_its_origin(project: Project) -> None:
    project.write("main.py", TASKS)
    project.write("ucam-faas.toml", CONFIGURATION)

    lines = project.run("config", "of_file").stdout.splitlines()

    (line,) = [line for line in lines if line.startswith("scratch")]
    assert line.split(maxsplit=2)[1:] == ["4Gi", "ucam-faas.toml:2 [task.of_file]"]


def test_a_wrong_value_of_a_new_option_is_refused_in_code_and_configuration(
    project: Project,
) -> None:
    project.write("main.py", TASKS)
    project.write("ucam-faas.toml", CONFIGURATION.replace("4Gi", "40Gi"))

    with pytest.raises(TaskDefinitionError, match="expected 1Gi to 9Gi"):
        ucam_faas.http(path="/", scratch="40Gi")(lambda: "")  # type: ignore[call-arg]
    with pytest.raises(TaskDefinitionError, match="did you mean 'scratch'"):
        ucam_faas.http(path="/", scrach="4Gi")(lambda: "")  # type: ignore[call-arg]
    message = project.run("plan").stderr
    assert 'ucam-faas.toml:2 [task.of_file]: scratch: expected 1Gi to 9Gi; found "40Gi"' in message


def test_a_new_option_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # the script adds folders
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert "| `scratch=` | size of the scratch disk | `1Gi` to `9Gi` |" in generate.options()
    assert '| `scratch` | `1Gi` to `9Gi` | `"1Gi"` |' in generate.PARTS["deployment keys"]()
