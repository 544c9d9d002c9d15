"""`ucam-faas plan`: the Terraform variables of a collection, and a summary of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from ucam_faas.cli import _files
from ucam_faas.cli._group import Verb
from ucam_faas.cli._source import source_parameters
from ucam_faas.cli._table import print_table
from ucam_faas.deploy import plan as plans, summary
from ucam_faas.deploy.checks import plan_file
from ucam_faas.deploy.payloads import compatibility
from ucam_faas.deploy.terraform_variables import Plan
from ucam_faas.exceptions import ConfigurationError


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
@click.option("--json", "as_json", is_flag=True, help="Print the variables, and write nothing.")
@source_parameters
def command(
    source: str | None,
    stage: str | None,
    output: Path,
    check: bool,
    as_json: bool,
) -> None:
    """Write the resources that SOURCE's tasks need, as variables for Terraform."""
    plan = plans.read(Path.cwd(), source=source, stage=stage)
    if as_json:
        click.echo(plan.text(), nl=False)
        return
    if not check:
        print_table(summary.HEADINGS, summary.rows(plan), spaced=True)
        _warn(plan, _files.read(output) or "")
    _files.settle(output, plan.text(), check=check, verb="plan")


def _warn(plan: Plan, before: str) -> None:
    """Warn of payload types that are incompatible with those in the file to overwrite."""
    with suppress(ConfigurationError):  # it isn't a plan: there is nothing to compare with
        tasks = plan_file.parse(before, name=plans.FILE_NAME).tasks
        for needs in plan.tasks:
            name = needs.task.name
            old = tasks.get(name, {}).get("payload")
            for change in compatibility.changes(old, needs.payload):
                click.secho(f"{name}: {change.message}", fg="yellow", err=True)
