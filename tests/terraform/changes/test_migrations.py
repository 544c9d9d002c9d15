"""Deployments of 1.0 and of earlier plans, and collections that are split, lose no message."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.terraform.runner import Terraform

from . import edits, page
from .deployment import PLAN, Deployment

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
