"""`ucam-faas new`: write a new collection of tasks, or a new task in one."""

from __future__ import annotations

from pathlib import Path

import click

from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import note, say
from ucam_faas.scaffold import files as scaffold_files, names, origin, writing


@click.command("new", cls=Verb)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(scaffold_files.KINDS)),
    default="message",
    show_default=True,
    help="What makes the task run.",
)
@click.option(
    "--ucam-faas",
    "origin_text",
    metavar="ORIGIN",
    help="The ucam_faas that the collection depends on: a version, git+https://…@COMMIT, or the "
    "folder of a checkout. [default: as this one was installed]",
)
def command(name: str, kind: str, origin_text: str | None) -> None:
    """Write a collection with one task into the new folder NAME.

    It runs at once: `make run` serves it on your machine, and `make test` tests it.
    """
    folder = Path(name)
    project = names.project_name(folder.resolve().name)
    writing.check_empty(folder)
    library = origin.of_text(origin_text) if origin_text else origin.of_installed()
    texts = scaffold_files.of_collection(project, kind, library)
    writing.write(folder, texts)
    say(f"Wrote {len(texts)} files into {folder}. Run it: cd {folder} && make run")
    if library.note:
        note(f"Note: {library.note}")
