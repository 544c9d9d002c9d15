"""`ucam-faas dlq edit`: change what a replay sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

import click

from ucam_faas.cli import _letter_checks
from ucam_faas.cli._group import Verb
from ucam_faas.cli._letter_choice import Choose, ids_or_filters
from ucam_faas.cli._letter_edits import Edits, in_editor
from ucam_faas.cli._letter_output import reveal_option, say_diff
from ucam_faas.cli._letter_texts import letters
from ucam_faas.cli._message_data import as_bytes
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._parameters import pairs
from ucam_faas.cli._workbench import Bench, Open, with_workbench
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.logs.columns import printable

_SHOWN = 3
"""Letters whose edits are printed."""


@click.command("edit", cls=Verb)
@ids_or_filters
@click.option("--data", metavar="TEXT", help="The whole payload.")
@click.option("--file", type=click.File("rb"), help="File with the payload; -: standard input.")
@click.option(
    "--set",
    "values",
    metavar="PATH=VALUE",
    multiple=True,
    callback=pairs,
    help="Value in a JSON payload, such as address.city=Ely or lines.0.sku=7; may be repeated.",
)
@click.option(
    "--unset", metavar="PATH", multiple=True, help="Value to remove from it; may be repeated."
)
@click.option(
    "--set-attribute",
    "changed",
    metavar="KEY=VALUE",
    multiple=True,
    callback=pairs,
    help="Attribute to set; may be repeated.",
)
@click.option(
    "--unset-attribute",
    "without",
    metavar="KEY",
    multiple=True,
    help="Attribute to remove; may be repeated.",
)
@click.option("--undo", is_flag=True, help="Forget the edits so far.")
@with_workbench
@reveal_option
@json_option
def edit(
    *,
    choose: Choose,
    data: str | None,
    file: IO[bytes] | None,
    values: dict[str, str],
    unset: tuple[str, ...],
    changed: dict[str, str],
    without: tuple[str, ...],
    undo: bool,
    open_bench: Open,
    reveal: bool,
    json_only: bool,
) -> None:
    """Change what a replay of letters sends: in $EDITOR, or by options.

    The letters stay as they are: edits are in the copy. Print the difference, and warn if the
    present code of the task wouldn't take it; the edit is kept.
    """
    choose.check()
    if data is not None and file is not None:
        raise click.UsageError("Give only one of --data and --file.")
    whole = as_bytes(data) if data is not None else file.read() if file is not None else None
    edits = Edits(data=whole, set=values, unset=unset, attributes=changed, without=without)
    if undo and edits:
        raise click.UsageError("--undo forgets edits: give no others.")
    bench = open_bench(all_letters=choose.every)
    workbench = bench.workbench
    ids = [letter.id for letter in workbench.each(choose.letters(bench))]
    if not (undo or edits) and len(ids) != 1:
        raise click.UsageError("The editor takes one letter: name one, or give --set or the like.")
    shown = bench.may_show(ids, reveal=reveal)
    _edit(bench, ids, None if undo else edits, shown=shown)
    errors = {} if undo else _letter_checks.rejected(bench, ids)
    if json_only:
        diffs = [(id, workbench.diff(id)) for id in ids]
        print_json(
            [
                {
                    "id": id,
                    "edited": bool(diff),
                    "diff": diff.lines if shown else None,
                    "errors": _letter_checks.as_json(errors.get(id, ()), shown=shown),
                }
                for id, diff in diffs
            ]
        )
    else:
        _tell(bench, ids, shown=shown)
        _letter_checks.warn(bench, errors, most=_SHOWN, shown=shown)


def _tell(bench: Bench, ids: Sequence[str], *, shown: bool) -> None:
    """Print the edits of the first letters."""
    for id in ids[:_SHOWN]:
        diff = bench.workbench.diff(id)
        say(f"{printable(id)} is {'edited' if diff else 'as it died'}.")
        if shown and diff:
            say_diff(diff.lines)
    if len(ids) > _SHOWN:
        say(f"And {letters(len(ids) - _SHOWN)} more.")
    elif not ids:
        say("There are no dead letters like that.")


def _edit(bench: Bench, ids: Sequence[str], edits: Edits | None, *, shown: bool) -> None:
    """Edit letters, all of them or none; without edits, the only one in an editor."""
    workbench = bench.workbench
    if edits is None:
        for id in ids:
            workbench.unedit(id)
    elif edits:
        contents = {id: edits.applied(workbench.content(id)) for id in ids}
        for id, content in contents.items():
            workbench.edit(id, *content)
    elif not shown:
        raise ConfigurationError("An editor shows the payload: --reveal allows it.")
    else:
        edited = in_editor(workbench.content(ids[0]))
        if edited is not None:
            workbench.edit(ids[0], *edited)
