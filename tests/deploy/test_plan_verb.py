"""`ucam-faas plan`: writes the file, shows what is in it, and says when it is out of date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.deploy.conftest import Project

TASKS = """
from datetime import timedelta
import ucam_faas
from ucam_faas import RetryPolicy, Schedule

@ucam_faas.message_handler(message_type=dict[str, int], topic="orders", filter="attributes:kind")
def count_orders(orders):
    "Count orders."

@ucam_faas.raw_event(
    run_as="cloud-run-job", schedule=Schedule("0 3 * * *"), timeout=timedelta(hours=2)
)
def export(body):
    "Export them."
"""


EXAMPLE = Path(__file__).parents[2] / "terraform/examples/tasks_from_plan"
FILE = "ucam-faas.auto.tfvars.json"


@pytest.fixture
def planned(project: Project) -> Project:
    """A project with a service, a Cloud Run job and a stage."""
    project.write("planned_tasks.py", TASKS)
    project.write(
        "ucam-faas.toml",
        """
        source = "planned_tasks.py"
        [stage.production]
        project = "my-project"
        region = "europe-west2"
        """,
    )
    return project


def plan(project: Project, *arguments: str) -> Result:
    return project.run("plan", *arguments)


def test_the_file_is_written_where_terraform_reads_it(planned: Project) -> None:
    result = plan(planned, "--stage", "production")

    assert result.exit_code == 0, result.output
    variables = json.loads((planned.root / FILE).read_text())
    assert variables["project"] == "my-project"
    assert sorted(variables["tasks"]) == ["count_orders", "export"]


def test_the_summary_lists_tasks_schedules_and_failures(planned: Project) -> None:
    output = plan(planned).output

    assert "service count-orders" in output
    assert "job export" in output
    assert "up to 2 h" in output
    assert "topic orders" in output
    assert "where attributes:kind" in output
    assert "after 10 s, 20 s, 40 s, 80 s" in output
    assert "then to count_orders-dead-letter" in output
    assert "0 3 * * *  Etc/UTC" in output
    assert "1 CPU, 512Mi" in output


def test_a_name_that_pubsub_refuses_is_one_line(planned: Project) -> None:
    source = "import ucam_faas\n@ucam_faas.message_handler(message_type=None)\ndef go(data): ..."
    planned.write("planned_tasks.py", source)

    result = plan(planned)

    assert result.exit_code == 2
    assert "The task 'go' can be served, but Pub/Sub can't have a subscription" in result.output


def test_names_stay_whole_where_the_table_is_too_wide(
    planned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People search for them and copy them."""
    monkeypatch.setenv("COLUMNS", "60")

    lines = plan(planned).output.splitlines()

    assert "TASK       count_orders" in lines
    assert "           then to count_orders-dead-letter" in lines
    assert not any(line.endswith(" ") for line in lines)


def test_a_file_that_is_out_of_date_fails_the_check_and_stays(planned: Project) -> None:
    plan(planned)
    path = planned.root / FILE
    assert plan(planned, "--check").exit_code == 0

    path.write_text(path.read_text().replace("512Mi", "1Gi"))
    before = path.read_text()
    result = plan(planned, "--check")

    assert result.exit_code == 1
    assert "is out of date. Run: ucam-faas plan" in result.output
    assert path.read_text() == before


def test_a_file_that_is_not_there_fails_the_check(planned: Project) -> None:
    result = plan(planned, "--check", "--output", "elsewhere.tfvars.json")

    assert result.exit_code == 1
    assert "elsewhere.tfvars.json does not exist" in result.output


@pytest.mark.parametrize(("own", "app"), [("", "shop"), ('UCAM_FAAS_APP = "kiosk"', "kiosk")])
def test_services_and_jobs_get_the_name_of_the_project(
    planned: Project, own: str, app: str
) -> None:
    """The sender and the worker of a job are of one application."""
    planned.write("pyproject.toml", '[project]\nname = "shop"')
    planned.write("ucam-faas.toml", f'source = "planned_tasks.py"\n[environment]\n{own}')

    assert plan(planned).exit_code == 0

    tasks = json.loads((planned.root / FILE).read_text())["tasks"].values()
    assert {task["function"]["environment"]["UCAM_FAAS_APP"] for task in tasks} == {app}


def test_the_example_s_file_is_the_plan_of_the_code_beside_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLE)

    result = plan(project, "--stage", "production", "--check")

    assert result.exit_code == 0, result.output


def test_json_is_printed_and_nothing_is_written(planned: Project) -> None:
    result = plan(planned, "--json")

    assert "count_orders" in json.loads(result.output)["tasks"]
    assert not (planned.root / FILE).exists()


def change(project: Project, old: str, new: str) -> None:
    """Edit the code: in another file, because this process has imported the first one."""
    code = (project.root / "planned_tasks.py").read_text()
    project.write("changed_tasks.py", code.replace(old, new))
    configuration = project.root / "ucam-faas.toml"
    configuration.write_text(configuration.read_text().replace("planned_tasks", "changed_tasks"))


LOSSES = {
    "a payload that refuses old messages": (
        ("dict[str, int]", "dict[str, list[int]]"),
        "payload-changed",
    ),
    "another filter": (("attributes:kind", "attributes:size"), "subscription-deleted"),
    "another name": (("def count_orders", "def tally_orders"), "protected-deleted"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_plan_that_would_lose_messages_is_refused_and_the_file_stays(
    planned: Project, name: str
) -> None:
    """The file is all that remembers the last plan."""
    edit, rule = LOSSES[name]
    plan(planned)
    before = (planned.root / FILE).read_text()
    change(planned, *edit)

    result = plan(planned)

    assert result.exit_code == 1
    assert rule in result.stdout
    assert f"{FILE} is unchanged. To write it nevertheless" in result.stdout
    assert (planned.root / FILE).read_text() == before


@pytest.mark.parametrize("name", LOSSES)
def test_a_plan_that_would_lose_messages_is_written_with_overwrite(
    planned: Project, name: str
) -> None:
    edit, _ = LOSSES[name]
    plan(planned)
    change(planned, *edit)

    assert plan(planned, "--overwrite").exit_code == 0
    assert plan(planned, "--check").exit_code == 0
    assert plan(planned).exit_code == 0


def test_a_plan_whose_losses_are_ignored_is_written(planned: Project) -> None:
    plan(planned)
    change(planned, "attributes:kind", "attributes:size")
    configuration = planned.root / "ucam-faas.toml"
    ignore = 'ignore = ["subscription-deleted:count_orders"]\n'
    configuration.write_text(ignore + configuration.read_text())

    assert plan(planned).exit_code == 0


def test_a_plan_of_another_stage_is_refused_with_the_projects(planned: Project) -> None:
    plan(planned, "--stage", "production")
    configuration = planned.root / "ucam-faas.toml"
    with configuration.open("a") as file:
        file.write('[stage.test]\nproject = "test-project"\n')

    output = plan(planned, "--stage", "test").stdout

    assert "is a plan for the project 'my-project', and the new one is for 'test-project'" in output


def test_a_plan_of_a_newer_format_is_not_overwritten(planned: Project) -> None:
    plan(planned)
    variables = json.loads((planned.root / FILE).read_text())
    variables["tasks"]["export"]["format"] = 99
    (planned.root / FILE).write_text(json.dumps(variables))

    line = planned.error("plan")

    assert f"{FILE} has the format 99, and this version of ucam-faas knows those up to" in line


def test_a_stage_that_is_not_there_is_one_line(planned: Project) -> None:
    result = plan(planned, "--stage", "prod")

    assert result.exit_code == 2
    assert "prod" in result.output
    assert "production" in result.output


@pytest.mark.parametrize("verb", ["plan", "asyncapi"])
def test_a_folder_that_does_not_exist_is_one_line_without_a_summary(
    planned: Project, verb: str
) -> None:
    line = planned.error(verb, "--output", "nowhere/file.json")

    assert "the folder nowhere doesn't exist. Create it, or name another file" in line


@pytest.mark.parametrize("verb", ["plan", "asyncapi"])
def test_a_file_that_cannot_be_written_is_one_line(planned: Project, verb: str) -> None:
    (planned.root / "file.json").symlink_to("nowhere/file.json")

    result = planned.run(verb, "--output", "file.json")

    assert result.exit_code == 2
    assert "Cannot write file.json: No such file or directory." in result.stderr


@pytest.mark.parametrize(
    "before", [b"[]", b'{"tasks": []}', b"\xff", b'{"tasks": {"export": 1}}', b"<<<<<<< HEAD\n{"]
)
def test_a_file_that_is_not_a_plan_is_only_overwritten_on_demand(
    planned: Project, before: bytes
) -> None:
    """The last plan is lost in a merge conflict, say, and nothing is left to compare with."""
    (planned.root / FILE).write_bytes(before)

    line = planned.error("plan")

    assert "Restore the last plan" in line
    assert (planned.root / FILE).read_bytes() == before
    assert plan(planned, "--check").exit_code == 1
    assert plan(planned, "--overwrite").exit_code == 0
    assert plan(planned, "--check").exit_code == 0


def test_an_empty_file_is_no_last_plan(planned: Project) -> None:
    (planned.root / FILE).write_bytes(b"")

    assert plan(planned).exit_code == 0
