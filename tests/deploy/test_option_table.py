"""The documentation and Terraform's variables agree with the option table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ucam_faas.deploy.checks.terraform.grants import OF_PROJECTS
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.roles import PROJECT_ROLES
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import OPTIONS

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `([\w.]+)` \| .*? \| (.*?) \| (.*) \|$", re.MULTILINE)
INPUTS = {
    name: (default.strip("`"), description)
    for name, default, description in _ROW.findall((ROOT / "terraform/README.md").read_text())
}
"""The module's inputs: `docs/terraform_readme.py --check` compares the README with Terraform."""


def _in_terraform() -> dict[str, Option]:
    options = [option for option in (OPTIONS | keys()).values() if option.terraform]
    paths = {option.terraform.replace("*", "NAME"): option for option in options}
    inner = {
        f"{path}.{name}": part
        for path, option in paths.items()
        for name, part in option.options.items()
    }
    return paths | inner


IN_TERRAFORM = _in_terraform()


@pytest.mark.parametrize("path", IN_TERRAFORM)
def test_terraform_documents_an_option_as_the_table_does(path: str) -> None:
    doc = IN_TERRAFORM[path].doc

    assert INPUTS[path][1].startswith(doc[0].upper() + doc[1:])


@pytest.mark.parametrize("path", IN_TERRAFORM)
def test_an_option_has_one_default(path: str) -> None:
    """Hand-written variables get the same defaults as those of `ucam-faas plan`."""
    option = IN_TERRAFORM[path]
    default = option.unset if option.express is None else option.default

    if default is not None and option.express is not None:
        default = option.express(default)

    if not option.computed and default is not None:
        assert INPUTS[path][0] == json.dumps(default)


def test_the_roles_on_projects_exist_on_nothing_smaller_and_are_those_of_the_module() -> None:
    roles = {f"roles/{role}" for role in PROJECT_ROLES}
    variables = (ROOT / "terraform/variables_function.tf").read_text()

    assert roles <= OF_PROJECTS
    assert f"contains([{', '.join(map(json.dumps, (f'roles/{r}' for r in PROJECT_ROLES)))}]" in (
        variables
    )


def test_each_option_has_a_documentation_line_and_its_values() -> None:
    for option in (OPTIONS | keys()).values():
        assert option.doc, option.name
        assert option.takes, option.name
        assert not option.doc.endswith("."), "texts go on after it"
