"""`ucam-faas dlq try`: which dead letters the code would handle now."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ucam_faas.cli import _letter_checks, _letter_texts as texts, _local_cloud, _source
from ucam_faas.cli._group import Verb
from ucam_faas.cli._letter_choice import Choose, ids_or_filters
from ucam_faas.cli._letter_output import reveal_option, say_diff
from ucam_faas.cli._live_line import LiveLine
from ucam_faas.cli._messages import note, say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._table import print_table
from ucam_faas.cli._workbench import Bench, Open, with_workbench
from ucam_faas.dead_letters.letters import Letter
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.dead_letters.tries import Tried, Verdict, tries
from ucam_faas.logs.columns import printable

_HEADINGS = ("CAUSE", "TASK", "LETTERS", "FIXED", "FAILING", "UNTESTED", "NOW")
_SHOWN = 3
_ENDS = (Verdict.FIXED, Verdict.FAILING, Verdict.UNTESTED)


@click.command("try", cls=Verb)
@ids_or_filters
@click.option(
    "--against",
    "sources",
    metavar="SOURCE",
    multiple=True,
    help="Code to try: a file, folder or module; may be repeated. [default: the code that dev "
    "serves]",
)
@click.option(
    "--run",
    is_flag=True,
    help="Run the functions, too, on this machine. They publish and send nothing; everything else "
    "that they do happens.",
)
@click.option("--plan", "plans", is_flag=True, help="Plan the replay of those that are fixed.")
@with_workbench
@reveal_option
@json_option
def try_letters(
    *,
    choose: Choose,
    sources: tuple[str, ...],
    run: bool,
    plans: bool,
    open_bench: Open,
    reveal: bool,
    json_only: bool,
) -> None:
    """Try letters against code: which of them would it handle?

    It reads their payloads, with their edits; with --run, it runs the functions, too. Nothing is
    sent, and the letters stay as they are. The exit
    code is 0 if all are fixed, 1 if some aren't, and 2 after an error.
    """
    choose.check()
    bench = open_bench(all_letters=choose.every)
    named = sources or _source.of_cloud(None, _local_cloud.find())
    results = _try_all(bench, choose, named, run=run, quiet=json_only)
    shown = bench.may_show((each.letter.id for each in results), reveal=reveal)
    fixed = [each.letter.id for each in results if _end(each) is Verdict.FIXED]
    plan = bench.workbench.plan(fixed) if plans and fixed else None
    if json_only:
        documents = [_as_json(each, shown=shown) for each in results]
        print_json({"letters": documents, "plan": plan.id if plan and plan.total else None})
    elif not results:
        say("There are no dead letters like that.")
    else:
        _tell(results, shown=shown)
        if plan:
            say(f"\n{texts.plan_text(plan)}")
            if plan.total:
                note(f"To send: ucam-faas dlq replay --plan {plan.id}")
        elif plans:
            note("None is fixed: there is no plan.")
    if plan and not plan.total:
        bench.workbench.drop(plan.id)
    sys.exit(0 if len(fixed) == len(results) else 1)


def _try_all(
    bench: Bench, choose: Choose, sources: Sequence[str], *, run: bool, quiet: bool
) -> list[Tried]:
    line, results = LiveLine(quiet=quiet), []
    workbench = bench.workbench
    letters: Iterable[Letter] = workbench.each(choose.letters(bench))
    try:
        with Parser(sources, may_run=run) as parser:
            for result in tries(letters, parser, content_of=workbench.book.content, run=run):
                results.append(result)
                line.show(f"{texts.letters(len(results))} tried")
    finally:
        line.end()
    return results


def _end(tried: Tried) -> Verdict:
    return Verdict.FAILING if tried.verdict is Verdict.UNKNOWN else tried.verdict


def _tell(results: Sequence[Tried], *, shown: bool) -> None:
    causes: dict[tuple[str, str], list[Tried]] = {}
    for each in results:
        causes.setdefault((each.letter.fingerprint, each.letter.task), []).append(each)
    length = texts.telling([cause for cause, _ in causes])
    rows = []
    for (cause, task), tried in causes.items():
        ends = [_end(each) for each in tried]
        now = next((_why(each, shown=shown) for each in tried if _end(each) is Verdict.FAILING), "")
        counts = [str(ends.count(end) or "") for end in _ENDS]
        rows.append((cause[:length], task, str(len(tried)), *counts, now))
    print_table(_HEADINGS, rows)
    _tell_some(results, shown=shown)
    if any(_end(each) is Verdict.UNTESTED for each in results):
        note("Untested: the payload is accepted, as before; --run shows if the function succeeds.")


def _tell_some(results: Sequence[Tried], *, shown: bool) -> None:
    failing = [each for each in results if _end(each) is Verdict.FAILING]
    if failing:
        say("\nStill failing:")
    for each in failing[:_SHOWN]:
        say(f"  {printable(each.letter.id)}  {_why(each, shown=shown)}", "red", indent=4)
    if len(failing) > _SHOWN:
        say(f"  and {len(failing) - _SHOWN:,} more; --json has all")
    changed = [each for each in results if each.diff] if shown else []
    if changed:
        say("\nHow the code reads them:")
    for each in changed[:_SHOWN]:
        say(f"  {printable(each.letter.id)}")
        say_diff(each.diff)
    if len(changed) > _SHOWN:
        say(f"  and {len(changed) - _SHOWN:,} more with a difference; --json has all")


def _why(tried: Tried, *, shown: bool) -> str:
    """Return why a letter still fails; its text may quote the payload."""
    if tried.verdict is Verdict.UNKNOWN:
        return "the code has no such task"
    if shown:
        return printable(tried.text)
    if tried.errors:
        first = tried.errors[0]
        return f"{first.name}: {first.kind}" if first.path else first.kind
    return tried.ran.outcome if tried.ran is not None else ""


def _as_json(tried: Tried, *, shown: bool) -> dict[str, Any]:
    ran = tried.ran
    document: dict[str, Any] = {
        "id": tried.letter.id,
        "task": tried.letter.task,
        "fingerprint": tried.letter.fingerprint,
        "end": _end(tried),
        "errors": _letter_checks.as_json(tried.errors, shown=shown),
        "ran": None,
    }
    if ran is not None:
        document["ran"] = {
            "outcome": ran.outcome,
            "fingerprint": ran.fingerprint,
            "published": ran.published,
        } | ({"reason": ran.reason, "error": ran.error} if shown else {})
    if shown:
        document["diff"] = list(tried.diff)
    return document
