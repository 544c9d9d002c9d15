"""`ucam-faas plan --terraform` keeps the resources whose addresses change, or that are imported."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.terraform.attached import types_in
from tests.terraform.cases import MODULE
from ucam_faas.deploy.checks.terraform.identity import IDENTITIES, pairs
from ucam_faas.deploy.checks.terraform.resources import Resource, TerraformPlan
from ucam_faas.deploy.findings import Place

from . import edits
from .deployment import IMAGE, PLAN, RELEASE, Deployment

pytestmark = pytest.mark.slow

WRITE = f"TF_VAR_container_image={IMAGE} ucam-faas plan --output {PLAN} --terraform deploy"
MOVED = "deploy/moved.tf"
ACCESS = re.compile(r"google_service_account\.|_iam_member\.")
"""The resources of accounts and grants."""


def rename_module(shop: Deployment) -> None:
    """Change the address of every resource."""
    main = (shop.folder / "deploy/main.tf").read_text()
    assert 'module "tasks" {' in main
    main = main.replace('module "tasks" {', 'module "orders" {')
    (shop.folder / "deploy/main.tf").write_text(main.replace("module.tasks", "module.orders"))
    shop.terraform.init()


def test_resources_of_a_module_with_another_name_are_moved(shop: Deployment) -> None:
    rename_module(shop)
    shop.terraform_plan()
    findings = {finding["rule"]: finding["commands"] for finding in shop.check()}

    output = shop.run(WRITE)

    assert findings["subscription-deleted"] == [f"ucam-faas plan --terraform {RELEASE}"]
    assert "resources; imported: 0." in output
    assert shop.terraform.format_faults() == []
    assert shop.changes() == {}
    assert shop.refused() == []
    assert shop.environment.operations() == []


def test_the_places_of_jobs_are_moved_with_their_module(with_jobs: Deployment) -> None:
    """Terraform would forget a database and make it again, which Google refuses."""
    before = with_jobs.environment.operations()
    rename_module(with_jobs)

    with_jobs.run(WRITE)

    assert with_jobs.changes() == {}
    assert with_jobs.refused() == []
    assert with_jobs.environment.operations() == before


def test_the_places_of_jobs_are_imported(with_jobs: Deployment) -> None:
    with_jobs.run("terraform -chdir=deploy show -json > deployed.json")
    before = with_jobs.environment.operations()
    with_jobs.state.unlink()

    with_jobs.run(f"{WRITE} --state deployed.json")

    moved = (with_jobs.folder / MOVED).read_text()
    assert with_jobs.refused() == []
    assert with_jobs.environment.operations() == before
    assert '"my-project roles/datastore.user serviceAccount:' in moved
    assert '.com jobs in jobs"' in moved


def test_each_resource_of_the_modules_has_an_identity() -> None:
    made = {kind for kind in types_in(MODULE) if not kind.startswith("data.")}

    assert made <= IDENTITIES.keys()


def test_a_grant_on_a_key_stays_the_same_only_on_the_same_ring() -> None:
    old, new, other = (key_grant(at, ring) for at, ring in (("a", "r"), ("b", "r"), ("c", "other")))
    plan = TerraformPlan(name="plan.json", directory=Path())

    assert pairs([old], [new, other], plan) == [(old, new)]


def key_grant(name: str, ring: str) -> Resource:
    key = f"projects/p/locations/l/keyRings/{ring}/cryptoKeys/k"
    kind = "google_kms_crypto_key_iam_member"
    return Resource(
        address=f"{kind}.{name}",
        module="",
        type=kind,
        name=name,
        values={"crypto_key_id": key, "role": "roles/viewer", "member": "user:ada@example.org"},
        unknown={},
        expressions={},
        place=Place(),
    )


def test_blocks_are_only_appended(shop: Deployment) -> None:
    own = "moved {\n  from = module.old\n  to   = module.older\n}\n"
    (shop.folder / MOVED).write_text(own)
    rename_module(shop)
    shop.run(WRITE)
    written = (shop.folder / MOVED).read_text()

    output = shop.run(WRITE)

    assert written.startswith(own)
    assert (shop.folder / MOVED).read_text() == written
    assert "moved.tf isn't needed" in output


def test_a_task_moves_to_a_root_module_of_its_own(shop: Deployment, tmp_path: Path) -> None:
    """With its topics and subscriptions; only the shared accounts and their grants are new."""
    shop.run("terraform -chdir=deploy show -json > deployed.json")
    folder = tmp_path / "split"
    shutil.copytree(
        shop.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("*.tfstate", "*.tfplan")
    )
    split = Deployment(folder, shop.environment)
    edits.keep_one_task(split)
    split.edit(("  source = ", '  name   = "orders"\n  source = '), file="deploy/main.tf")
    (split.folder / PLAN).unlink()

    output = split.run(f"{WRITE} --state {shop.folder}/deployed.json")

    assert split.terraform.format_faults() == []
    changes = split.changes()
    assert {tuple(actions) for actions in changes.values()} <= {("update",), ("create",)}
    created = {address for address, actions in changes.items() if actions == ["create"]}
    assert created == {address for address in created if ACCESS.search(address)}
    assert split.refused() == []
    edits.remove_a_task(shop)
    _, _, command = output.partition("run:\n\n")
    shop.run(f"cd deploy\n{command}")
    shop.plan()
    assert [address for address in shop.changes() if not ACCESS.search(address)] == []
    assert shop.deleted() == []


def test_a_root_module_is_left_whole_by_a_removed_block(shop: Deployment, tmp_path: Path) -> None:
    shop.run("terraform -chdir=deploy show -json > deployed.json")
    folder = tmp_path / "left"
    shutil.copytree(shop.folder, folder, symlinks=True)
    left = Deployment(folder, shop.environment)
    shop.state.unlink()

    output = shop.run(f"{WRITE} --state deployed.json")

    assert shop.refused() == []
    _, _, block = output.partition("in place of the module's block:\n\n")
    (left.folder / "deploy/main.tf").write_text(block)
    left.terraform.init()
    assert left.terraform.format_faults() == []
    assert set(map(tuple, left.changes().values())) == {("forget",)}
    assert left.refused() == []
    assert shop.environment.operations() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (f"--terraform deploy --state {PLAN}", f"{PLAN} isn't a state of Terraform"),
        (f"--state {PLAN}", "--state is for --terraform"),
        ("--terraform deploy --check", "leave out --check and --json"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    shop: Deployment, arguments: str, message: str
) -> None:
    command = f"TF_VAR_container_image={IMAGE} ucam-faas plan --output {PLAN} {arguments}"

    tried = shop.tried(command)

    assert tried.returncode == 2
    assert message in " ".join(tried.stderr.split())
