"""`ucam-faas check`: contradictions between code, configuration, plan and Terraform."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ucam_faas.cli._findings import print_findings, print_findings_json
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option
from ucam_faas.cli._source import source_parameters
from ucam_faas.clock import SystemClock
from ucam_faas.deploy import checks, plan
from ucam_faas.deploy.checks import errors
from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.loading import load
from ucam_faas.deploy.findings import Finding
from ucam_faas.exceptions import UCAMFAASException


@click.command("check", cls=Verb)
@click.option("--stage", help="Stage of the configuration, such as production.")
@click.option(
    "--plan",
    "on_disk",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(plan.FILE_NAME),
    show_default=True,
    help="File that `ucam-faas plan` wrote; it may be missing.",
)
@click.option(
    "--against",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The deployed plan: none of its messages may be lost.  [default: --plan]",
)
@click.option(
    "--terraform",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of the root module, or the output of `terraform show -json PLAN`.",
)
@click.option(
    "--from",
    "version",
    type=click.Choice(["1.0"]),
    help="Find code, requirements and Terraform that were written for this version, in the files "
    "of this folder, or of SOURCE. Nothing is imported.",
)
@json_option
@source_parameters
def command(*, json_only: bool, source: str | None, version: str | None, **files: Any) -> None:
    """Report every contradiction between the code of SOURCE, its configuration and Terraform.

    The exit code is 1 if it finds any, and 2 if it can't read a file.
    """
    if version is not None:
        _refuse(files)
        from ucam_faas.cli._upgrade import check_upgrade

        sys.exit(check_upgrade(source, json_only=json_only))
    try:
        inputs = load(Path.cwd(), SystemClock().now().date(), source=source, **files)
    except UCAMFAASException as error:
        if json_only:
            print_findings_json(errors.findings_of(error))
        raise
    findings = checks.run(inputs)
    if json_only:
        print_findings_json(findings)
    else:
        _print(findings, inputs)
    sys.exit(1 if findings else 0)


def _refuse(names: Collection[str]) -> None:
    """Refuse options that `--from` wouldn't read."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in names and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--from doesn't take {parameter.opts[0]}: leave it out.")


def _print(findings: Sequence[Finding], inputs: Inputs) -> None:
    print_findings(findings)
    many = (
        f"{len(findings)} finding{'s' * (len(findings) != 1)}"
        if findings
        else "No contradiction found"
    )
    say(f"{many}: {_looked_at(inputs)}.", "red" if findings else "green")


def _looked_at(inputs: Inputs) -> str:
    """Return the names of the files that were checked, and of those that were not."""
    if inputs.plan is None:
        return "these findings prevent a plan, and the rules that need one were skipped"
    number = len(inputs.planned)
    seen = [f"{number} task{'s' * (number != 1)}", inputs.config.name or "no configuration"]
    on_disk, last, terraform = inputs.on_disk, inputs.last, inputs.terraform
    if on_disk:
        seen.append(on_disk.name)
    if last and last is not on_disk:
        seen.append(f"last plan {last.name}")
    if terraform:
        seen.append(f"Terraform in {terraform.name}")
    missing = [
        *(["a plan on disk"] if not on_disk else []),
        *(["Terraform (--terraform)"] if not terraform else []),
    ]
    rest = f". Not checked: {', '.join(missing)}" if missing else ""
    return ", ".join(seen) + rest
