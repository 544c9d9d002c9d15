"""`ucam-faas new`: write a new collection of tasks, or a new task in one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import note, say, tell
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.scaffold import drift, existing, files, names, origin, writing
from ucam_faas.scaffold.kinds import KINDS

_TASK = "task"
_ANOTHER_FOLDER = f"Name a new folder; `ucam-faas new {_TASK} NAME` adds a task to a collection."
_COLOURS = {"+": "green", "-": "red"}


@click.command("new", cls=Verb)
@click.argument("words", metavar=f"[{_TASK}] NAME", nargs=-1)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="message",
    show_default=True,
    help="What makes the task run. A job comes with an endpoint where other systems send it.",
)
@click.option(
    "--ci",
    type=click.Choice([*files.WORKFLOWS, "none"]),
    help="Where the collection's tests run.  [default: github; with --diff: as in the folder]",
)
@click.option(
    "--ucam-faas",
    "origin_text",
    metavar="ORIGIN",
    help="The ucam_faas that the collection depends on: a version, git+https://…@COMMIT, or the "
    "folder of a checkout.  [default: as this one was installed]",
)
@click.option(
    "--diff",
    "only_compare",
    is_flag=True,
    help="Write nothing: show how the collection in NAME, by default this folder, differs from a "
    "new one. Its tasks, README.md and pyproject.toml aren't compared. The exit code is 1 if it "
    "differs.",
)
@json_option
def command(
    *,
    words: Sequence[str],
    kind: str,
    ci: str | None,
    origin_text: str | None,
    only_compare: bool,
    json_only: bool,
) -> None:
    """Write a collection with one task into the new folder NAME, or a task into this collection.

    A collection runs at once: `make run` serves it on your machine, and `make test` tests it. The
    folder may be . if it is empty, or a new git repository. Files that exist aren't changed.
    """
    if words[:1] == (_TASK,):
        if ci or origin_text or only_compare:
            raise click.UsageError("--ci, --ucam-faas and --diff are for collections.")
        _new_task(_name(words[1:]), kind, json_only=json_only)
        return
    folder = Path(_name(words or ((".",) if only_compare else ())))
    library = origin.of_text(origin_text) if origin_text else origin.of_installed()
    if only_compare:
        ci = ci or existing.ci_of(folder)
        sys.exit(_compare(folder, library, _system(ci), json_only=json_only))
    _new_collection(folder, kind, library, _system(ci or "github"), json_only=json_only)


def _name(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise click.UsageError(
            f"Expected one NAME: `ucam-faas new NAME`, or `ucam-faas new {_TASK} NAME`."
        )
    return words[0]


def _system(ci: str | None) -> str | None:
    return None if ci == "none" else ci


def _new_collection(
    folder: Path, kind: str, library: origin.Origin, ci: str | None, *, json_only: bool
) -> None:
    project = names.project_name(folder.resolve().name)
    writing.check_empty(folder, _ANOTHER_FOLDER)
    texts = files.of_collection(project, kind, library, ci)
    writing.write(folder, texts)
    place = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    notes = [library.note] if library.note else []
    _tell(folder, texts, f"Run it: {place}make run", notes, json_only=json_only)


def _new_task(name: str, kind: str, *, json_only: bool) -> None:
    names.check_task_name(name)
    collection = existing.find(Path.cwd())
    writing.check_empty(collection.tasks / name, "Choose another name for the task.")
    texts = files.of_task(kind, name)
    writing.write(collection.tasks, texts)
    notes = []
    if kind == "job" and not collection.has_job_store:
        notes.append("In the cloud, jobs need a store: `make check` says how to name it.")
    sample = f"Try it while `make run` runs: {files.sample_of(kind, name)}"
    _tell(collection.tasks, texts, sample, notes, json_only=json_only)


def _tell(
    folder: Path, texts: Mapping[str, str], next_step: str, notes: list[str], *, json_only: bool
) -> None:
    written = [str(folder / path) for path in texts]
    if json_only:
        print_json({"files": written, "notes": notes})
        return
    for path in written:
        say(f"  {path}")
    say(next_step)
    for text in notes:
        note(f"Note: {text}")


def _compare(folder: Path, library: origin.Origin, ci: str | None, *, json_only: bool) -> int:
    """Show the differences on stdout, which is a patch, and return the exit code."""
    project = existing.name_of(folder)
    library = origin.with_repository(library, drift.read(folder / files.MODULE) or "")
    drifts = drift.compare(folder, files.kept_in_step(project, library, ci))
    if json_only:
        print_json([asdict(each) for each in drifts])
    else:
        for line in "".join(each.diff for each in drifts).splitlines(keepends=True):
            click.secho(line, fg=_COLOURS.get(line[0]), nl=False)
        if not drifts:
            tell("Nothing differs from a new collection.")
    return 1 if drifts else 0
