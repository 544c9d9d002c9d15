"""Terraform blocks that keep resources when the code of the root module changes its form.

A resource that Terraform would delete at one address and make at another is moved. One that another
root module has is imported, and forgotten there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ucam_faas.deploy.checks.terraform.identity import moves_of, pairs
from ucam_faas.deploy.checks.terraform.resources import Resource, TerraformPlan

HEADER = (
    "# Written by `ucam-faas plan --terraform`. Remove a block when it has been applied to every\n"
    "# state.\n"
)
_CALL = re.compile(r"module\.[\w-]+")


@dataclass(frozen=True, slots=True)
class Moves:
    """The ways of resources to their new addresses.

    Args:
        moved: from the old address to the new one.
        imported: from the new address to the id for the import.
        removed: the Terraform code to add to the root module that had the imported resources.
        forgotten: the addresses that `terraform state rm` has to remove there.
    """

    moved: Mapping[str, str]
    imported: Mapping[str, str]
    removed: Sequence[str] = ()
    forgotten: Sequence[str] = ()

    def blocks(self) -> Iterator[str]:
        """Yield the blocks for the root module, formatted as `terraform fmt` does."""
        for before, after in self.moved.items():
            yield f"moved {{\n  from = {before}\n  to   = {after}\n}}\n"
        for address, identity in self.imported.items():
            yield f"import {{\n  to = {address}\n  id = {_quoted(identity)}\n}}\n"

    def elsewhere(self) -> str:
        """Return the advice for the root module that had the imported resources."""
        parts = []
        if self.removed:
            parts.append("write, in place of the module's block:\n\n" + "\n".join(self.removed))
        if self.forgotten:
            addresses = " \\\n  ".join(map(shlex.quote, self.forgotten))
            parts.append(f"run:\n\nterraform state rm \\\n  {addresses}\n")
        return "\nAnd ".join(parts)


def find(plan: TerraformPlan, elsewhere: Sequence[Resource]) -> Moves:
    """Return the moves and imports that spare resources.

    Args:
        elsewhere: the resources in the state of another root module.
    """
    moved = moves_of(plan)
    made = [
        change.after
        for change in plan.changes
        if change.after
        and change.actions == ("create",)
        and change.after.address not in {*moved.values()}
    ]
    imported = pairs(elsewhere, made, plan)
    removed, forgotten = _leave(elsewhere, [before for before, _ in imported])
    return Moves(
        moved=dict(sorted(moved.items())),
        imported={after.address: _import_id(before) for before, after in imported},
        removed=removed,
        forgotten=forgotten,
    )


def append(text: str, blocks: Iterable[str]) -> str:
    """Return the file's text with those blocks at its end that it doesn't have."""
    new = [block for block in blocks if block not in text]
    return "\n".join([text or HEADER, *new]) if new else text


def _leave(state: Sequence[Resource], imported: Sequence[Resource]) -> tuple[list[str], list[str]]:
    """Return how the other root module leaves what was imported: `removed` blocks, addresses.

    A `removed` block has no key of an instance, so it is for modules that are imported whole.
    """
    taken = {resource.address for resource in imported}
    kept_calls = {_call(resource) for resource in state if resource.address not in taken}
    calls = {_call(resource) for resource in imported} - kept_calls - {""}
    removed = [
        f"removed {{\n  from = {call}\n\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
        for call in sorted(calls)
    ]
    return removed, sorted(
        resource.address for resource in imported if _call(resource) not in calls
    )


def _call(resource: Resource) -> str:
    """Return the root module's call that makes a resource; empty: it makes it itself."""
    match = _CALL.match(resource.address)
    return match[0] if match else ""


def _import_id(resource: Resource) -> str:
    """Return the id by which the provider imports a resource: a grant's has spaces between."""
    identity = str(resource.get("id"))
    if not resource.type.endswith("_iam_member"):
        return identity
    role, member = resource.get("role"), resource.get("member")
    title = resource.get("condition", "title")
    parts = [identity.partition(f"/{role}/{member}")[0], role, member, *filter(None, [title])]
    return " ".join(map(str, parts))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
