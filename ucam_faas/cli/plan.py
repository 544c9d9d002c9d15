"""`ucam-faas plan`: the Terraform variables of a collection, and a summary of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ucam_faas import registry
from ucam_faas.cli._table import print_table
from ucam_faas.deploy import compatibility, layers, plan as plans, summary


@click.command("plan")
@click.argument("source", required=False)
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
@click.pass_context
def command(
    ctx: click.Context,
    source: str | None,
    stage: str | None,
    output: Path,
    check: bool,
    as_json: bool,
) -> None:
    """Write what the tasks of SOURCE need of Google Cloud, as variables for Terraform.

    SOURCE: default: --source, FUNCTION_SOURCE, or what the configuration says.
    """
    given: dict[str, Any] = ctx.obj or {}
    config = layers.read(Path.cwd())
    where = layers.source_of(config, stage=stage, given=source or given.get("source"))
    found = plans.make(registry.load(where), config, stage)
    if as_json:
        click.echo(found.text(), nl=False)
        return
    before = output.read_text() if output.is_file() else None
    if check:
        _check(found, output, before)
        return
    print_table(summary.HEADINGS, summary.rows(found), spaced=True)
    if before == found.text():
        click.echo(f"{output} is up to date.")
        return
    _warn(found, before)
    output.write_text(found.text())
    click.echo(f"Wrote {output}.")


def _warn(found: plans.Plan, before: str | None) -> None:
    """Tell which payloads no longer take what the file that is overwritten says they do."""
    try:
        tasks = json.loads(before or "{}").get("tasks", {})
    except ValueError:
        return
    for one in found.tasks:
        name = one.task.name
        old, new = tasks.get(name, {}).get("payload"), found.variables["tasks"][name]["payload"]
        for change in compatibility.changes(old, new):
            click.secho(f"{name}: {change.message}", fg="yellow", err=True)


def _check(found: plans.Plan, output: Path, before: str | None) -> None:
    if before == found.text():
        click.echo(f"{output} is up to date.")
        return
    what = "is out of date" if before is not None else "does not exist"
    click.secho(f"{output} {what}. Run: ucam-faas plan, with the same options.", fg="red", err=True)
    sys.exit(1)
