"""Seeded faults, and the layers that look for them.

A fault is a change of the module's files, or of the variables of a use. Applying plans first, and
the stand-in refuses nothing while it applies: what `PLAN` finds is found before anything is made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import Diagnostic, Snapshot
from .cases import SERVICE
from .grants import Grant, broad_grants_in, grants_in
from .needs import unmet_needs
from .runner import Terraform, TerraformError

VALIDATE = "terraform validate"
PLAN = "terraform plan"
VARIABLES = "the variables' types and validations"
GRANTS = "the tests of grants"
MODULE_TESTS = "terraform test"
NOTHING = "nothing offline"

_OF_VARIABLES = ("Invalid value for variable", "Invalid value for input variable")


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement in one block of a file, which must have the old text exactly once."""

    file: str
    block: str
    """The start of the block's first line; empty for the whole file."""
    old: str
    new: str

    def apply(self, module: Path) -> None:
        """Change the file."""
        path = module / self.file
        text = path.read_text()
        start = text.index(self.block)
        end = text.index("\n}", start) + 3 if self.block else len(text)
        block = text[start:end]
        old = self.old or block
        assert block.count(old) == 1, f"{self.file} {self.block}: {block.count(old)} times {old!r}"
        path.write_text(text[:start] + block.replace(old, self.new) + text[end:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault, and the layer that must find it."""

    what: str
    layer: str
    says: str = ""
    """Part of the layer's message; for `MODULE_TESTS` the file, for `NOTHING` where it shows."""
    edits: tuple[Edit, ...] = ()
    variables: Callable[[dict[str, Any]], object] = lambda variables: None
    """Changes the variables in place."""
    use: dict[str, Any] = field(default_factory=lambda: SERVICE)
    """The variables before the change."""

    def plant(self, module: Path) -> dict[str, Any]:
        """Change the module's files, and return the changed variables."""
        for edit in self.edits:
            edit.apply(module)
        variables = copy.deepcopy(self.use)
        self.variables(variables)
        return variables


def found_by(
    fault: Fault, terraform: Terraform, variables: dict[str, Any], expected: set[Grant]
) -> tuple[str, str]:
    """Return the first layer that finds a planted fault, and its message.

    `expected`: the grants of the sound module.
    """
    if fault.edits and (diagnostics := terraform.validate()):
        return VALIDATE, _text(diagnostics)
    try:
        state = terraform.apply(variables)
    except TerraformError as error:
        return _layer_of(error.diagnostics), _text(error.diagnostics)
    if faults := _grant_faults(state, expected):
        return GRANTS, "\n".join(faults)
    names = _test_files(fault, terraform)
    if names and (failed := terraform.test(*names).failed):
        return MODULE_TESTS, "\n".join(f"{run.file} {run.name}" for run in failed)
    return NOTHING, ""


def _test_files(fault: Fault, terraform: Terraform) -> list[str]:
    """Return the tests that must find it: the file that it names, or all that apply the module."""
    if fault.layer == MODULE_TESTS:
        return [fault.says]
    files = (terraform.folder / "tests").glob("*.tftest.hcl") if fault.edits else []
    return sorted(path.name for path in files if not path.name.startswith("refused_"))


def _grant_faults(state: Snapshot, expected: set[Grant]) -> list[str]:
    granted = grants_in(state)
    return [
        *(f"missing: {' '.join(grant)}" for grant in sorted(expected - granted)),
        *(f"too much: {' '.join(grant)}" for grant in sorted(granted - expected)),
        *broad_grants_in(state),
        *unmet_needs(state),
    ]


def _layer_of(diagnostics: list[Diagnostic]) -> str:
    of_variables = all(diagnostic.summary in _OF_VARIABLES for diagnostic in diagnostics)
    return VARIABLES if of_variables else PLAN


def _text(diagnostics: list[Diagnostic]) -> str:
    return "\n".join(map(str, diagnostics))
