"""`ucam-faas config` prints what is in force, and where each value comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Project

CONFIGURATION = """
    [tool.ucam-faas]
    region = "europe-west2"
    environment = { MODE = "fast" }

    [tool.ucam-faas.stage.production]
    project = "my-project"
    min_instances = 1

    [tool.ucam-faas.task.welcome]
    publishes_to = ["orders"]

    [tool.ucam-faas.task.welcome.stage.production]
    memory = "1Gi"
"""


@pytest.fixture
def app(project: Project) -> Project:
    """Two tasks and two stages' worth of configuration."""
    project.tasks("welcome", "report", options='cpu=2, secrets={"API_KEY": "api-key:3"}')
    project.write("pyproject.toml", CONFIGURATION)
    return project


def rows(output: str) -> list[list[str]]:
    """Return a table's cells."""
    return [line.rstrip().split(None, 2) for line in output.splitlines() if line.strip()]


def test_each_value_is_printed_with_its_line_and_its_layer(app: Project) -> None:
    result = app.run("config", "--stage", "production", "welcome")

    assert result.exit_code == 0, result.output
    lines = rows(result.output)
    production = "[tool.ucam-faas.stage.production]"
    assert ["region", "europe-west2", "pyproject.toml:2 [tool.ucam-faas]"] in lines
    assert ["project", "my-project", f"pyproject.toml:6 {production}"] in lines
    assert ["min_instances", "1", f"pyproject.toml:7 {production}"] in lines
    welcome = "[tool.ucam-faas.task.welcome.stage.production]"
    assert ["memory", "1Gi", f"pyproject.toml:13 {welcome}"] in lines
    assert ["publishes_to", "orders", "pyproject.toml:10 [tool.ucam-faas.task.welcome]"] in lines
    assert ["environment.MODE", "fast", "pyproject.toml:3 [tool.ucam-faas]"] in lines
    assert ["cpu", "2", "main.py:3 decorator"] in lines
    assert ["secrets.API_KEY", "api-key:3", "main.py:3 decorator"] in lines
    assert ["max_instances", "10", "default"] in lines


def test_all_tasks_are_printed_unless_one_is_named(app: Project) -> None:
    all_tasks, report = app.run("config").output, app.run("config", "report").output

    assert {"welcome", "report"} <= {row[0] for row in rows(all_tasks)}
    assert "welcome" not in {row[0] for row in rows(report)}


def test_without_a_stage_the_values_of_stages_are_ignored(app: Project) -> None:
    result = app.run("config", "--json")

    values = json.loads(result.output)["tasks"]["welcome"]["values"]
    assert (values["project"], values["min_instances"], values["memory"]) == (None, 0, "512Mi")


def test_json_has_values_and_origins(app: Project) -> None:
    result = app.run("config", "--json", "--stage", "production")

    document = json.loads(result.output)
    assert (document["file"], document["stage"]) == ("pyproject.toml", "production")
    assert list(document["tasks"]) == ["welcome", "report"]
    welcome = document["tasks"]["welcome"]
    assert welcome["values"]["environment"] == {"MODE": "fast"}
    assert welcome["origins"]["environment.MODE"] == {
        "layer": "[tool.ucam-faas]",
        "file": "pyproject.toml",
        "line": 3,
    }
    assert "memory" not in document["tasks"]["report"]["origins"]


def test_without_a_configuration_the_code_is_shown(project: Project) -> None:
    project.tasks("welcome", options='memory="1Gi"')

    result = project.run("config")

    assert "all values come from the code" in result.output
    assert ["memory", "1Gi"] in [row[:2] for row in rows(result.output)]


def test_values_of_collections_and_decorators_have_different_origins(project: Project) -> None:
    project.write(
        "main.py",
        """
        import ucam_faas

        tasks = ucam_faas.TaskCollection(memory="2Gi", environment={"A": "b"})

        @tasks.message_handler(message_type=None, environment={"A": "c"}, run_as="cloud-run-job")
        def welcome(data): ...
        """,
    )

    result = project.run("config", "--json")

    assert result.exit_code == 0, result.output
    welcome = json.loads(result.output)["tasks"]["welcome"]
    assert welcome["values"]["environment"] == {"A": "c"}
    assert welcome["values"]["run_as"] == "cloud-run-job"
    layers = {path: origin["layer"] for path, origin in welcome["origins"].items()}
    assert layers == {"memory": "collection", "environment.A": "decorator", "run_as": "decorator"}


def test_long_values_are_folded_and_not_cut(project: Project) -> None:
    value = "€" * 300
    project.tasks("welcome")
    project.write("ucam-faas.toml", f"environment.LONG = '{value}'")

    output = project.run("config").output

    assert output.count("€") == 300
    assert max(map(len, output.splitlines())) <= 160


# --- where the tasks are


def test_the_configuration_says_where_the_tasks_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from any directory below it, because paths are relative to the file."""
    project.tasks("welcome", path="src/jobs.py")
    project.write("ucam-faas.toml", "source = 'src/jobs.py'")

    above = project.run("config").output
    monkeypatch.chdir("src")
    below = project.run("config").output

    assert "welcome" in above
    assert "welcome" in below


def test_an_option_or_the_environment_wins_over_the_configurations_source(
    project: Project,
) -> None:
    project.tasks("welcome", path="one.py")
    project.tasks("report", path="two.py")
    project.tasks("tidy", path="three.py")
    project.write("ucam-faas.toml", "source = 'one.py'")

    assert "report" in project.run("config", "--source", "two.py").output
    assert "report" in project.run("--source", "two.py", "config").output
    assert "tidy" in project.run("config", FUNCTION_SOURCE="three.py").output


def test_a_stage_may_have_a_source_of_its_own(project: Project) -> None:
    project.tasks("welcome", path="one.py")
    project.tasks("report", path="two.py")
    project.write("ucam-faas.toml", "source = 'one.py'\n[stage.test]\nsource = 'two.py'")

    assert "report" in project.run("config", "--stage", "test").output


def test_a_source_may_be_a_module(project: Project) -> None:
    project.tasks("welcome", path="collection/__init__.py")
    project.write("ucam-faas.toml", "source = 'collection'")

    assert "welcome" in project.run("config").output


def test_a_sidecar_and_a_volume_are_printed_with_their_lines(project: Project) -> None:
    project.tasks("welcome")
    project.write(
        "ucam-faas.toml",
        """
        [task.welcome]
        volumes = { "/mnt/prices" = "gs://prices:ro" }

        [task.welcome.sidecars.proxy]
        image = "proxy:1"
        """,
    )

    lines = project.run("config", "welcome").output.splitlines()

    (volume,) = [line for line in lines if line.startswith("volumes./mnt/prices")]
    (sidecar,) = [line for line in lines if line.startswith("sidecars.proxy")]
    assert "gs://prices:ro" in volume
    assert "ucam-faas.toml:2 [task.welcome]" in volume
    assert '{"image": "proxy:1"}' in sidecar


# --- errors


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--stage", "prod"], ["no stage 'prod'", "Found: 'production'"]),
        (["welcom"], ["No task named 'welcom'", "'welcome', 'report'"]),
        (["--source", "nowhere.py"], ["nowhere.py"]),
    ],
)
def test_an_unknown_name_is_one_line_with_the_known_names(
    arguments: list[str], parts: list[str], app: Project
) -> None:
    line = app.error("config", *arguments)

    assert [part for part in parts if part not in line] == []


def test_a_table_for_no_task_is_an_error(app: Project) -> None:
    app.write("pyproject.toml", "[tool.ucam-faas.task.welcom]")

    line = app.error("config", "welcome")

    assert "pyproject.toml:1 [tool.ucam-faas.task.welcom]: there is no task 'welcom'" in line


def test_a_broken_file_is_an_error(app: Project) -> None:
    app.write("pyproject.toml", "[tool.ucam-faas]\nmemory = 'much'")

    assert "pyproject.toml:2 [tool.ucam-faas]: memory='much'" in app.error("config")


# --- the document

DOCUMENT = (Path(__file__).parents[2] / "docs/deployment-configuration.md").read_text()


def block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_documented_example_prints_the_documented_output(project: Project) -> None:
    project.write("main.py", block("python"))
    project.write("pyproject.toml", block("toml"))
    (command,) = re.findall(r"^`ucam-faas (config .*)`:$", DOCUMENT, re.MULTILINE)

    result = project.run(*command.split())

    printed = "\n".join(line.rstrip() for line in result.output.splitlines())
    assert printed == block("text").rstrip("\n")


def test_the_documented_example_has_no_contradiction(project: Project) -> None:
    project.write("main.py", block("python"))
    project.write("pyproject.toml", block("toml"))

    result = project.run("check", "--stage", "production")

    assert result.output.startswith("No contradiction found")
