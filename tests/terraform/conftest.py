"""Fixtures for the tests of the module and of the stand-in; each use is deployed once a session."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import cache, fixtures
from .answers import Snapshot
from .attached import Attached
from .cases import Use
from .runner import Terraform

# They run in a process with other libraries: see `attached`.
collect_ignore = ["stub/provider.py", "stub/wire.py"]

terraform_environment = fixtures.terraform_environment
terraform_copies = fixtures.terraform_copies
terraform = fixtures.terraform

RESOURCES = Path(__file__).with_name("resources.tf")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A use of the module: its plan, and its state after apply."""

    plan: Snapshot
    state: Snapshot


Deploy = Callable[[Use], Deployment]


@pytest.fixture(scope="session")
def deploy(terraform_copies: fixtures.Copies, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Plan and apply a use of the module, once a session."""
    done: dict[str, Deployment] = {}

    def once(use: Use) -> Deployment:
        if use.name not in done:
            target = tmp_path_factory.mktemp("deployment") / "terraform"
            terraform = terraform_copies.copy(use.folder, target)
            plan = terraform.plan(use.variables)
            done[use.name] = Deployment(plan, terraform.apply(use.variables))
        return done[use.name]

    return once


@pytest.fixture(scope="session")
def schema(terraform_environment: Mapping[str, str]) -> dict[str, Any]:
    """The schema that the stand-in serves."""
    served: dict[str, Any] = json.loads(cache.schema(fixtures.TYPES).read_text())
    return served


@pytest.fixture
def resources(terraform_environment: Attached, tmp_path: Path) -> Terraform:
    """An initialised folder with some resources outside the module, and a cloud of its own."""
    (tmp_path / "main.tf").write_text(RESOURCES.read_text())
    made = Terraform(tmp_path, terraform_environment.with_cloud())
    made.init()
    return made
