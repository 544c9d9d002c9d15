"""`ucam-faas plan`: the Terraform variables of a collection, and a summary of them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from ucam_faas.cli import _files
from ucam_faas.cli._findings import print_findings, print_findings_json
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option_for, print_json
from ucam_faas.cli._source import source_parameters
from ucam_faas.cli._table import print_table
from ucam_faas.clock import SystemClock
from ucam_faas.deploy import checks, layers, moves, plan as plans, summary
from ucam_faas.deploy.checks import errors, plan_file
from ucam_faas.deploy.checks.loading import against_baseline
from ucam_faas.deploy.checks.plan_file import PlanFile
from ucam_faas.deploy.checks.terraform.command import plan_at
from ucam_faas.deploy.checks.terraform.resources import read_state
from ucam_faas.deploy.terraform_variables import Plan
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException


@click.command("plan", cls=Verb)
@click.option("--stage", help="Stage of the configuration, such as production.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(plans.FILE_NAME),
    show_default=True,
    help="File to write, in the folder of the root module.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 if the file is out of date."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Write the file even if messages of the plan in it would be lost.",
)
@click.option(
    "--terraform",
    type=click.Path(exists=True, path_type=Path),
    help="Also write moved.tf beside the file, for resources whose address changes. Folder of the "
    "root module, or the output of `terraform show -json PLAN`.",
)
@click.option(
    "--state",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --terraform: import the resources that another root module has. The output of "
    "`terraform show -json` there.",
)
@json_option_for("Print the variables, and write nothing.")
@source_parameters
def command(
    source: str | None,
    stage: str | None,
    output: Path,
    check: bool,
    overwrite: bool,
    terraform: Path | None,
    state: Path | None,
    json_only: bool,
) -> None:
    """Write the resources that SOURCE's tasks need, as variables for Terraform.

    The file holds the last plan. If messages of that deployment would be lost, nothing is written:
    the rules of `ucam-faas check` say why, and the exit code is 1.
    """
    if state and not terraform:
        raise click.UsageError("--state is for --terraform: name the root module that imports.")
    if terraform and (check or json_only):
        raise click.UsageError("--terraform writes moved.tf: leave out --check and --json.")
    if not (check or json_only):
        _files.check_folder(output)
    try:
        plan = plans.read(Path.cwd(), source=source, stage=stage)
    except UCAMFAASException as error:
        if json_only:
            print_findings_json(errors.findings_of(error))
        raise
    if json_only:
        print_json(json.loads(plan.text()))
        return
    last = None if check else _last_plan(output, overwrite=overwrite)
    if last:
        _tell_format(plan, last)
    if last and not overwrite:
        _refuse_losses(plan, last)
    if not check:
        print_table(summary.HEADINGS, summary.rows(plan), spaced=True)
    _files.settle(output, plan.text(), check=check, verb="plan")
    if terraform:
        _write_moves(terraform, state, output.with_name("moved.tf"))


def _write_moves(terraform: Path, state: Path | None, file: Path) -> None:
    """Write the blocks that spare resources, and print the advice for another root module."""
    ways = moves.find(plan_at(terraform), read_state(state) if state else ())
    if not ways.moved and not ways.imported:
        click.echo("No resource's address changes: moved.tf isn't needed.")
        return
    text = moves.append(_files.read(file) or "", ways.blocks())
    _files.settle(file, text, check=False, verb="plan")
    moved, imported = len(ways.moved), len(ways.imported)
    click.echo(f"Moved: {moved} resources; imported: {imported}. Plan with Terraform again.")
    if ways.imported:
        click.echo(
            f"In the root module of {state}, before the next apply there, {ways.elsewhere()}"
        )


def _last_plan(output: Path, *, overwrite: bool) -> PlanFile | None:
    """Return the plan in the file; None: there is none to compare with.

    Raises:
        ConfigurationError: the file holds something else, such as a merge conflict.
    """
    if not output.is_file() or output.stat().st_size == 0:
        return None
    try:
        last = plan_file.parse(_files.read(output) or "", name=os.path.relpath(output))
    except ConfigurationError as error:
        if overwrite:
            return None
        raise ConfigurationError(
            f"{error} Restore the last plan, which the new one is compared with, or add "
            "--overwrite."
        ) from error
    return last if last.tasks else None


def _tell_format(plan: Plan, last: PlanFile) -> None:
    """Say if another version of ucam-faas wrote the file; refuse a newer one."""
    plan_file.check_format(last)
    written, now = last.format, plan_file.format_in(plan.to_json())
    if written != now:
        say(
            f"{last.name} has the format {written}, of another version of ucam-faas; this one "
            f"writes {now}. Take the Terraform module of the same version.\n"
        )


def _refuse_losses(plan: Plan, last: PlanFile) -> None:
    """End if the new plan would lose messages of the last one."""
    today = SystemClock().now().date()
    findings = checks.run(
        against_baseline(plan, last, layers.read(Path.cwd()), today), checks.OF_BASELINE
    )
    if findings:
        print_findings(findings)
        project = last.variables.get("project")
        if project != plan.project:
            say(
                f"{last.name} is a plan for the project {project!r}, and the new one is for "
                f"{plan.project!r}: give each stage a file of its own with --output."
            )
        many = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
        say(
            f"{many}: {last.name} is unchanged. To write it nevertheless, when no message can be "
            "lost, add --overwrite.",
            "red",
        )
        sys.exit(1)
