"""Rules of grants that undo each other in Terraform, and of keys."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import deployments
from ucam_faas.deploy.checks.terraform.grants import Grant, grants_of
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN
from ucam_faas.deploy.findings import Finding

_KEY = "google_service_account_key"


@rule(
    "grants-undo-each-other",
    why="Each apply removes the members that another resource grants: tasks work every other time.",
)
def undo_each_other(inputs: Inputs) -> Iterator[Finding]:
    """A binding or a policy on something on which Terraform also grants the role to members."""
    grants = grants_of(inputs.terraform) if inputs.terraform else ()
    members = [grant for grant in grants if grant.resource.type.endswith("_iam_member")]
    for whole in grants:
        alone = whole.resource.type.endswith("_iam_member")
        hit = next((part for part in members if not alone and _removes(whole, part)), None)
        if hit:
            yield Finding(
                whole.resource.place,
                f"{whole.resource.address} has all members of {whole.role} on {whole.on}, and "
                f"{hit.resource.address} grants it to another."
                if whole.resource.type.endswith("_iam_binding")
                else f"{whole.resource.address} has all roles on {whole.on}, and "
                f"{hit.resource.address} grants another.",
                f"Write google_{whole.kind}_iam_member for each member instead.",
            )


def _removes(whole: Grant, part: Grant) -> bool:
    same = whole.kind == part.kind and whole.on == part.on and whole.on is not UNKNOWN
    if whole.resource.type.endswith("_iam_policy"):
        return same
    known = UNKNOWN not in (whole.role, *whole.members, *part.members)
    own = whole.resource.get("members")
    listed = {str(member).rpartition(":")[2] for member in own} if isinstance(own, list) else set()
    has = not {*part.members} - {*whole.members, *listed}
    role = whole.role == part.role and whole.role is not UNKNOWN
    database = part.resource.get("condition")
    return same and role and not has and (known or bool(listed)) and not database


@rule("account-key", why="It is valid for years, lies in Terraform's state, and works anywhere.")
def account_key(inputs: Inputs) -> Iterator[Finding]:
    """A key of an account as which a task runs."""
    if inputs.terraform is None:
        return
    for deployment in deployments(inputs):
        path = (*deployment.template, "service_account")
        account = inputs.terraform.account(deployment.run, *path)
        for key in inputs.terraform.of(_KEY):
            of = inputs.terraform.account(key, "service_account_id")
            if of == account and isinstance(of, str):
                yield Finding(
                    key.place,
                    f"{key.address} is a key of {of}, as which the task "
                    f"{deployment.planned.name!r} runs.",
                    "Remove it: Cloud Run needs none. Elsewhere, use Workload Identity Federation "
                    "or impersonate the account.",
                    deployment.planned.name,
                )


RULES = (undo_each_other, account_key)
