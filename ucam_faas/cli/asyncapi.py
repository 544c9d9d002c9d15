"""`ucam-faas asyncapi`: the topics of a collection and their messages, as AsyncAPI."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ucam_faas import project as projects
from ucam_faas.cli import _files
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_json
from ucam_faas.cli._source import source_parameters
from ucam_faas.deploy import asyncapi, plan as plans


@click.command("asyncapi", cls=Verb)
@click.option("--stage", help="Stage of the configuration, such as production.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, such as asyncapi.json; default: print it.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 if the file is out of date."
)
@json_option_for("Print JSON alone: with --output, whether the file was written.")
@source_parameters
def command(
    source: str | None, stage: str | None, output: Path | None, check: bool, json_only: bool
) -> None:
    """Describe the topics of SOURCE's tasks and their messages as AsyncAPI 3 in JSON.

    Title and version are those of [project] in pyproject.toml.
    """
    if check and output is None:
        raise click.UsageError("--check needs --output: the file to look at.")
    if output is not None and not check:
        _files.check_folder(output)
    plan = plans.read(Path.cwd(), source=source, stage=stage)
    document = asyncapi.document(plan, _info(Path.cwd()))
    if output is None:
        print_json(document)
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        _files.settle(output, text, check=check, verb="asyncapi", json_only=json_only)


def _info(start: Path) -> dict[str, str]:
    """Return title and version from the nearest pyproject.toml's [project]."""
    project = projects.read(start)
    info = {"title": project.get("name", start.name), "version": project.get("version", "0.0.0")}
    if "description" in project:
        info["description"] = project["description"]
    return info
