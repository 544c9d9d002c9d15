"""Letters, checked by the present code of their tasks, as the dashboard's form checks an edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.cli import _local_cloud, _source
from ucam_faas.cli._messages import note
from ucam_faas.cli._workbench import Bench
from ucam_faas.dead_letters.parser import FieldError, Parser, ParserError, UnknownTaskError
from ucam_faas.logs.columns import printable

Rejected = dict[str, list[FieldError]]
"""The errors of letters, by their ids."""


def rejected(bench: Bench, ids: Sequence[str]) -> Rejected:
    """Return the letters that their tasks wouldn't take as they are edited.

    Those of tasks that aren't known here aren't checked; nor is any where there is no code.
    """
    cloud = _local_cloud.find()
    named = cloud.sources if cloud is not None else _source.of_folder()
    errors: Rejected = {}
    if not named or not ids:
        return errors
    with Parser(named) as parser:
        try:
            for id in ids:
                letter, content = bench.workbench.letter(id), bench.workbench.content(id)
                try:
                    wrong = parser.check(
                        letter.task, content.data, content.attributes, key=content.key
                    )
                except UnknownTaskError:
                    continue
                if wrong:
                    errors[id] = wrong
        except ParserError as error:
            note(f"Not checked with the tasks' code: {error}")
    return errors


def warn(bench: Bench, errors: Rejected, *, most: int, shown: bool) -> None:
    """Warn of the first letters; `shown`: with messages, which may quote the payload."""
    for id, wrong in list(errors.items())[:most]:
        first = wrong[0]
        why = first.message if shown else first.kind
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        text = f"{first.name}: {why}{more}" if first.path else f"{why}{more}"
        task = bench.workbench.letter(id).task
        note(printable(f"Warning: {task} rejects {id} as it is now: {text}"))
    if len(errors) > most:
        note(f"Warning: {len(errors) - most:,} more are rejected by their tasks.")


def as_json(wrong: Sequence[FieldError], *, shown: bool) -> list[dict[str, Any]]:
    """Return errors as JSON; `shown`: with messages."""
    return [
        {"path": list(error.path), "kind": error.kind}
        | ({"message": error.message} if shown else {})
        for error in wrong
    ]
