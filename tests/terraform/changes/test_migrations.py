"""Deployments of 1.0 and of earlier plans, and collections that are split, lose no message."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.terraform.runner import Terraform

from . import edits, page
from .deployment import HOLDERS, PLAN, STATES, Deployment

pytestmark = pytest.mark.slow

RELEASE_1 = Path(__file__).with_name("release_1")
HEAD = "from ucam_faas import message_handler\n\n\n"


def forget(deployment: Deployment, root: str, output: str) -> None:
    """Run the `terraform state rm` that `plan --terraform` printed, in a root module."""
    _, _, command = output.partition("run:\n\n")
    command, _, _ = command.partition("\n\n")
    deployment.run(f"cd {root}\n{command}")


def test_a_collection_is_split(shop: Deployment, tmp_path: Path) -> None:
    before, imported, after = page.blocks("Split a collection", "sh")
    page.follow(shop, before)
    new = Deployment(tmp_path / "new", shop.environment)
    ignored = shutil.ignore_patterns("*.tfstate*", "*.tfplan", Path(PLAN).name)
    shutil.copytree(shop.folder, new.folder, symlinks=True, ignore=ignored)
    edits.keep_one_task(new)
    new.edit(("  source = ", '  name   = "orders"\n  source = '), file="deploy/main.tf")

    output = page.follow(new, imported)
    forget(shop, "deploy", output)
    edits.remove_a_task(shop)
    page.follow(shop, after)

    assert shop.lost() == []
    assert new.changes() == shop.changes() == {}


@pytest.fixture
def release_1(fresh_shop: Deployment, tmp_path: Path) -> Deployment:
    """A deployment of 1.0 in `old`, and beside it the task's code for this version."""
    folder = tmp_path / "upgraded"
    shutil.copytree(fresh_shop.folder, folder, symlinks=True)
    shutil.copytree(RELEASE_1, folder / "old")
    upgraded = Deployment(folder, fresh_shop.environment.with_cloud())
    old = Terraform(folder / "old", upgraded.environment)
    old.init()
    old.apply()
    [code] = page.blocks("Upgrade a deployment of 1.0", "python")
    (folder / "main.py").write_text(HEAD + code)
    config = (folder / edits.CONFIG).read_text()
    (folder / edits.CONFIG).write_text(config.partition("[task.")[0])
    (folder / PLAN).unlink()
    return upgraded


def test_a_deployment_of_1_0_is_upgraded(release_1: Deployment) -> None:
    imported, destroyed = page.blocks("Upgrade a deployment of 1.0", "sh")

    output = page.follow(release_1, imported)
    assert release_1.deleted() == []
    forget(release_1, "old", output)
    page.follow(release_1, destroyed.replace("destroy", "destroy -auto-approve"))

    assert release_1.lost() == ["tidy-up-subscription"]
    assert release_1.changes() == {}


@pytest.fixture
def format_1(fresh_shop: Deployment, tmp_path: Path) -> Deployment:
    """The shop as the module before format 2 deployed it, with the longer retries of step 1."""
    shop = Deployment(tmp_path / "shop", fresh_shop.environment)
    shutil.copytree(fresh_shop.folder, shop.folder, symlinks=True)
    plan = (STATES / "format_1.auto.tfvars.json").read_text()
    (shop.folder / PLAN).write_text(plan.replace('"max_attempts": 5', '"max_attempts": 8'))
    state = (STATES / "format_1.state.json").read_text()
    attempts = '"max_delivery_attempts": '
    shop.state.write_text(state.replace(f"{attempts}5", f"{attempts}8"))
    return replace(shop, environment=shop.environment.with_cloud(shop.state))


def test_a_plan_of_format_1_is_upgraded(format_1: Deployment) -> None:
    [commands] = page.blocks("Upgrade a plan of format 1", "sh")

    page.follow(format_1, commands)

    done = [each for each in format_1.environment.operations() if each.type in HOLDERS]
    there = [each for type_ in HOLDERS for each in format_1.terraform.show().of(type_)]
    assert {operation.action for operation in done} == {"update"}
    assert len(there) == 13
    assert {resource.values["deletion_policy"] for resource in there} == {"PREVENT"}
    assert format_1.changes() == {}


def test_the_earlier_name_of_a_cloud_run_job_is_refused_and_nothing_is_touched(
    shop: Deployment,
) -> None:
    plan = shop.folder / PLAN
    text = plan.read_text()
    plan.write_text(text.replace('"run_as": "cloud-run-job"', '"run_as": "job"'))
    before = len(shop.environment.operations())

    refused = shop.refused()
    changed = shop.tried(f"ucam-faas plan --output {PLAN}")

    assert plan.read_text() == text
    assert set(refused) == {"Invalid value for variable"}
    assert len(shop.environment.operations()) == before
    assert changed.returncode == 0, changed.stdout
    assert shop.changes() == {}


def test_short_retries_do_not_outlast_the_new_grants(format_1: Deployment) -> None:
    """Without step 1: 150 s, and a grant takes minutes."""
    plan = format_1.folder / PLAN
    plan.write_text(plan.read_text().replace('"max_attempts": 8', '"max_attempts": 5'))

    planned = format_1.tried(f"ucam-faas plan --output {PLAN}")

    assert planned.returncode == 1
    assert "push-grant-deleted:take-order" in planned.stdout
    assert "used up after 150 s" in planned.stdout
