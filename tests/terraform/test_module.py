"""The module is formatted, valid and planned, its own tests pass, and its README is up to date."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pytest

from . import refusals
from .answers import Snapshot
from .attached import ROOT
from .cases import MODULE, SERVICE, USES, Use, examples
from .conftest import Deploy
from .fixtures import MakeTerraform

FOLDERS = [
    ".",
    *(str(path.parent.relative_to(MODULE)) for path in MODULE.glob("modules/*/main.tf")),
]

README = (MODULE / "README.md").read_text()

pytestmark = pytest.mark.slow


def test_there_is_an_example_of_each_kind() -> None:
    assert {
        *("scheduled_task", "pubsub_task", "protobuf_task", "long_running_job", "worker_task"),
        *("http_task_with_domain", "task_with_sidecars", "tasks_from_plan"),
    } <= set(examples())


def test_every_file_is_formatted(terraform: MakeTerraform) -> None:
    assert terraform().format_faults() == []


@pytest.mark.parametrize("folder", [*FOLDERS, *(f"examples/{name}" for name in examples())])
def test_every_folder_is_valid(folder: str, terraform: MakeTerraform) -> None:
    assert terraform(folder).validate() == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_modules_own_tests_pass(folder: str, terraform: MakeTerraform) -> None:
    report = terraform(folder).test()

    assert report.diagnostics == []
    assert report.runs
    assert report.failed == []


def test_the_module_refuses_each_value_of_the_table(terraform: MakeTerraform) -> None:
    module = terraform(".")
    (module.folder / "tests" / refusals.FILE).write_text(refusals.render())

    report = module.test(refusals.FILE)

    assert report.diagnostics == []
    assert report.failed == []
    assert len(report.runs) == sum(map(len, refusals.TABLE.values()))


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_every_use_is_planned_and_applied_as_planned(use: Use, deploy: Deploy) -> None:
    deployment = deploy(use)

    planned, there = (
        {resource.address for resource in snapshot.resources if resource.mode == "managed"}
        for snapshot in (deployment.plan, deployment.state)
    )
    assert planned
    assert there == planned


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_a_second_plan_has_no_changes(use: Use, terraform: MakeTerraform) -> None:
    applied = terraform(use.folder)
    applied.apply(use.variables)

    assert changed(applied.plan(use.variables)) == {}


def test_a_second_plan_keeps_resources_of_other_projects(terraform: MakeTerraform) -> None:
    """The provider keeps a full name's project; a change of it would replace the grant."""
    variables = copy.deepcopy(SERVICE)
    other = "projects/other-project"
    variables["function"]["publishes_to"] = [f"{other}/topics/invoices"]
    variables["function"]["secrets"]["API_KEY"]["secret"] = f"{other}/secrets/api-key"
    refunds = variables["triggers"]["subscriptions"]["refunds"]
    refunds["dead_letter"]["topic"] = f"{other}/topics/failed-refunds"
    applied = terraform(".")
    applied.apply(variables)

    assert changed(applied.plan(variables)) == {}


def test_a_replaced_subscription_gets_a_new_grant(terraform: MakeTerraform) -> None:
    """It keeps its name; without the grant Pub/Sub would not forward its dead letters."""
    variables = copy.deepcopy(SERVICE)
    applied = terraform(".")
    applied.apply(variables)
    variables["triggers"]["subscriptions"]["orders"]["filter"] = "attributes:type"

    replaced = changed(applied.plan(variables))

    assert replaced == {
        'google_pubsub_subscription.push["orders"]': ["delete", "create"],
        'google_pubsub_subscription_iam_member.dead_letter_agent["orders"]': ["delete", "create"],
    }


def changed(plan: Snapshot) -> dict[str, list[str]]:
    """Return the actions on each resource that changes."""
    actions = {
        change["address"]: change["change"]["actions"] for change in plan.json["resource_changes"]
    }
    return {address: some for address, some in actions.items() if some != ["no-op"]}


def test_the_example_of_the_tests_readme_passes(terraform: MakeTerraform) -> None:
    text = (ROOT / "tests/terraform/README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    namespace: dict[str, Any] = {}

    exec(code, namespace)
    namespace["test_the_topic_is_planned"](terraform)


@pytest.mark.parametrize("folder", [*FOLDERS, *(f"examples/{name}" for name in examples())])
def test_every_folder_has_the_layout_of_the_registry(folder: str) -> None:
    """The registry and terraform-docs look for these files, and a reader for the tables."""
    files = {path.name for path in (MODULE / folder).iterdir()}
    readme = (MODULE / folder / "README.md").read_text()
    needed = {"main.tf", "README.md"}
    parts = ["inputs", "outputs"]
    if not folder.startswith("examples/"):
        needed |= {"variables.tf", "outputs.tf", "versions.tf", "tests"}
        parts.insert(0, "requirements")

    assert needed <= files
    assert re.findall("<!-- generated: ([a-z]+) -->", readme) == parts


def test_the_modules_readme_lists_the_examples() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(examples/\1/README\.md\)", README, re.MULTILINE)

    assert sorted(listed) == examples()


def test_the_readmes_list_the_inputs_and_outputs() -> None:
    done = subprocess.run(
        [sys.executable, "docs/terraform_readme.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
