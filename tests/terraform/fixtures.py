"""Fixtures for tests that run terraform offline.

A `conftest.py` takes them by assignment, so that each test folder decides for itself:


# conftest.py
from tests.terraform import fixtures

terraform_environment = fixtures.terraform_environment
terraform_copies = fixtures.terraform_copies
terraform = fixtures.terraform

# test_orders.py
def test_plan(terraform):
    variables = {"project": "my-project", "container_image": "tasks:1"}
    plan = terraform("examples/pubsub_task").plan(variables)
    assert plan.of("google_pubsub_topic", "users")[0].values["name"] == "users"
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from .attached import Attached, attached_environment, types_in
from .cache import InstallError
from .cases import MODULE
from .runner import Terraform

MakeTerraform = Callable[..., Terraform]

EXTRA_TYPES = {"google_project_iam_member", "google_pubsub_topic_iam_binding"}
"""Resource types of the provider that the module must not use."""

TYPES = types_in(MODULE) | EXTRA_TYPES
"""The resource types that the stand-in knows."""


@pytest.fixture(scope="session")
def terraform_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    """The environment for terraform's processes: the stand-in for hashicorp/google is attached."""
    if shutil.which("terraform") is None:
        unavailable("terraform is not on PATH")
    folder = tmp_path_factory.mktemp("terraform")
    try:
        with attached_environment(TYPES, folder) as environment:
            yield environment
    except InstallError as error:
        unavailable(f"the stand-in for the google provider cannot be installed: {error}")


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of the module's tree, with `terraform init` done once a session and folder."""

    pristine: Path
    environment: Attached
    initialised: set[str] = field(default_factory=set)

    def copy(self, subfolder: str, target: Path) -> Terraform:
        """Return terraform in a subfolder of a new copy, made in `target`, with a new cloud."""
        if subfolder not in self.initialised:
            Terraform(self.pristine / subfolder, self.environment).init()
            self.initialised.add(subfolder)
        shutil.copytree(self.pristine, target)
        return Terraform(target / subfolder, self.environment.with_cloud())


@pytest.fixture(scope="session")
def terraform_copies(
    terraform_environment: Attached, tmp_path_factory: pytest.TempPathFactory
) -> Copies:
    """Makes copies of the module's tree."""
    pristine = tmp_path_factory.mktemp("module") / "terraform"
    shutil.copytree(MODULE, pristine, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return Copies(pristine, terraform_environment)


@pytest.fixture
def terraform(terraform_copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> MakeTerraform:
    """Make a terraform: `terraform("examples/NAME")`, in a copy of the whole tree of its own."""

    def make(subfolder: str = ".") -> Terraform:
        return terraform_copies.copy(subfolder, tmp_path_factory.mktemp("copy") / "terraform")

    return make


def unavailable(reason: str) -> NoReturn:
    """Skip on a laptop; in CI, where everything has to be there, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true")
    pytest.skip(reason)
