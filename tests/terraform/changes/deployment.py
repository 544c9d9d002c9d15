"""A repository whose tasks are deployed, and the commands that change the deployment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.terraform.attached import Attached, Operation
from tests.terraform.runner import Terraform, TerraformError

SHOP = Path(__file__).with_name("shop")
STATES = Path(__file__).with_name("states")
PLAN = "deploy/ucam-faas.auto.tfvars.json"
RELEASE = "deploy/release.json"
IMAGE = "europe-docker.pkg.dev/my-project/tasks/tasks:1"
HOLDERS = ("google_pubsub_topic", "google_pubsub_subscription")
"""The types that hold messages."""
_ENTRY = 'source = "../../modules'
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Deployment:
    """A folder with code, configuration and a root module, and the cloud that it is applied to."""

    folder: Path
    environment: Attached

    @property
    def terraform(self) -> Terraform:
        """Terraform in the root module."""
        return Terraform(self.folder / "deploy", self.environment)

    @property
    def state(self) -> Path:
        """The file with Terraform's state."""
        return self.folder / "deploy/terraform.tfstate"

    def copy(self, folder: Path) -> Deployment:
        """Return a copy of it, applied to a cloud of its own."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        state = self.state if self.state.exists() else None
        return Deployment(folder, self.environment.with_cloud(state))

    def edit(self, *replacements: tuple[str, str], file: str = "main.py") -> None:
        """Put texts in place of others, each of which is there once."""
        text = (self.folder / file).read_text()
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
            text = text.replace(old, new)
        (self.folder / file).write_text(text)

    def configure(self, block: str) -> None:
        """Add a block of the page to the configuration: its table's lines to that table."""
        file = self.folder / "ucam-faas.toml"
        text = file.read_text()
        header, newline, lines = (
            block.partition("]\n") if block.startswith("[") else ("", "", block)
        )
        header += newline
        if header and header not in text:
            file.write_text(f"{text}\n{block}")
        else:
            file.write_text(text.replace(header, f"{header}{lines}", 1))

    def plan(self) -> None:
        """Write the plan's file, as if there had been none."""
        (self.folder / PLAN).unlink(missing_ok=True)
        self.run(f"ucam-faas plan --output {PLAN}")

    def terraform_plan(self, image: str = IMAGE) -> None:
        """Write Terraform's plan, as the guide does."""
        self.run(
            f"terraform -chdir=deploy plan -var container_image={image} -out=release.tfplan",
            f"terraform -chdir=deploy show -json release.tfplan > {RELEASE}",
        )

    def check(self) -> list[dict[str, Any]]:
        """Return the findings for the written plans."""
        done = self.tried(f"ucam-faas check --plan {PLAN} --terraform {RELEASE} --json")
        assert done.returncode in (0, 1), done.stderr
        findings: list[dict[str, Any]] = json.loads(done.stdout)
        return findings

    def refused(self) -> list[str]:
        """Apply, and return the errors; none: it succeeded."""
        try:
            self.terraform.apply({"container_image": IMAGE})
        except TerraformError as error:
            return [diagnostic.summary for diagnostic in error.diagnostics]
        return []

    def run(self, *commands: str) -> str:
        """Run commands in the folder, which must succeed, and return their output."""
        done = self.tried("\n".join(commands))
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def tried(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script in the folder; `gcloud` does nothing."""
        return subprocess.run(
            ["bash", "-ec", script],
            cwd=self.folder,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )

    def _variables(self) -> dict[str, str]:
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        gcloud = programs / "gcloud"
        gcloud.write_text("#!/bin/sh\n")
        gcloud.chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**self.environment, "PATH": path, "IMAGE": IMAGE, "PROJECT": "my-project"}

    def lost(self) -> list[str]:
        """Return the topics and subscriptions that were deleted, by short name."""
        return [
            operation.id.rpartition("/")[2]
            for operation in self.deleted()
            if operation.type in HOLDERS
        ]

    def deleted(self) -> list[Operation]:
        """Return the deletions."""
        return [
            operation
            for operation in self.environment.operations()
            if operation.action == "delete" and not operation.refused
        ]

    def changes(self) -> dict[str, list[str]]:
        """Return the actions that Terraform would take now, by address."""
        plan = self.terraform.plan({"container_image": IMAGE})
        changes = {
            change["address"]: change["change"]["actions"]
            for change in plan.json["resource_changes"]
        }
        return {address: actions for address, actions in changes.items() if actions != ["no-op"]}


def written(folder: Path, module: Path, environment: Attached) -> Deployment:
    """Return the shop in a folder, ready to be applied.

    Args:
        module: the tree with the Terraform modules.
    """
    shutil.copytree(SHOP, folder, dirs_exist_ok=True)
    (folder / "terraform").symlink_to(module)
    root = (module / "examples/tasks_from_plan/main.tf").read_text()
    assert _ENTRY in root
    (folder / "deploy").mkdir()
    (folder / "deploy/main.tf").write_text(root.replace(_ENTRY, 'source = "../terraform/modules'))
    return Deployment(folder, environment)
