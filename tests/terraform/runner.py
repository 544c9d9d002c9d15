"""The real terraform in one folder, its answers as Python values: plans, states, test results.

done = Terraform(folder, environment)
done.init()
plan = done.plan({"project": "my-project"})
[topic] = plan.of("google_pubsub_topic")
state = done.apply({"project": "my-project"})
state.at("module.task.google_cloud_run_v2_service.this[0]").values["uri"]
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .answers import (
    Diagnostic,
    Run,
    Snapshot,
    TestReport,
    errors_in,
    lines_of,
    to_diagnostic,
    to_snapshot,
)

TIMEOUT_SECONDS = 120


class TerraformError(Exception):
    """terraform ended with errors."""

    def __init__(self, command: str, diagnostics: list[Diagnostic], output: str) -> None:
        self.command = command
        self.diagnostics = diagnostics
        super().__init__("\n".join([command, *map(str, diagnostics)] if diagnostics else [output]))


@dataclass(frozen=True, slots=True)
class Terraform:
    """terraform in a folder. It writes there: let it be a copy."""

    folder: Path
    environment: Mapping[str, str]
    """See `attached.attached_environment`."""

    def init(self) -> None:
        """Install the modules that the folder uses."""
        self.run("init", "-json")

    def format_faults(self) -> list[str]:
        """Return the files below that `terraform fmt` would change."""
        return self._run("fmt", "-check", "-recursive", "-list=true").stdout.split()

    def validate(self) -> list[Diagnostic]:
        """Return the errors of `terraform validate`; an empty list if the folder is valid."""
        report = json.loads(self._run("validate", "-json").stdout)
        return [
            to_diagnostic(item) for item in report["diagnostics"] if item["severity"] == "error"
        ]

    def plan(self, variables: Mapping[str, Any] | None = None) -> Snapshot:
        """Return the plan. Raises TerraformError."""
        with _scratch(variables) as (scratch, arguments):
            saved = str(scratch / "plan")
            self.run("plan", "-json", f"-out={saved}", *arguments)
            planned = json.loads(self.run("show", "-json", saved))
        return to_snapshot(planned, planned["planned_values"])

    def apply(self, variables: Mapping[str, Any] | None = None) -> Snapshot:
        """Apply the configuration and return the state. Raises TerraformError."""
        with _scratch(variables) as (_, arguments):
            self.run("apply", "-json", "-auto-approve", *arguments)
        return self.show()

    def destroy(self, variables: Mapping[str, Any] | None = None) -> None:
        """Destroy all resources. Raises TerraformError."""
        with _scratch(variables) as (_, arguments):
            self.run("apply", "-destroy", "-json", "-auto-approve", *arguments)

    def show(self) -> Snapshot:
        """Return the state."""
        state = json.loads(self.run("show", "-json"))
        return to_snapshot(state, state.get("values", {}))

    def test(self, *files: str) -> TestReport:
        """Run the folder's `tests/*.tftest.hcl`: all, or those of these names."""
        only = [f"-filter=tests/{name}" for name in files]
        lines = list(lines_of(self._run("test", "-json", *only).stdout))
        runs = [
            Run(line["@testfile"], line["@testrun"], line["test_run"]["status"])
            for line in lines
            if line["type"] == "test_run" and "status" in line["test_run"]
        ]
        return TestReport(list(dict.fromkeys(runs)), errors_in(lines))

    def run(self, *arguments: str) -> str:
        """Return the output of any command. Raises TerraformError."""
        done = self._run(*arguments)
        if done.returncode:
            errors = errors_in(lines_of(done.stdout))
            raise TerraformError(" ".join(arguments[:1]), errors, done.stdout + done.stderr)
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = shutil.which("terraform", path=self.environment["PATH"])
        assert program is not None, "terraform is not on PATH"
        return subprocess.run(
            [program, *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )


@contextmanager
def _scratch(variables: Mapping[str, Any] | None) -> Iterator[tuple[Path, list[str]]]:
    """Yield a temporary folder, and the arguments that pass the variables."""
    with TemporaryDirectory(prefix="ucam-faas-") as name:
        file = Path(name) / "variables.tfvars.json"
        file.write_text(json.dumps(variables or {}))
        yield Path(name), [f"-var-file={file}"]
