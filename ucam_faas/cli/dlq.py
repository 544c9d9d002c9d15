"""`ucam-faas dlq`: dead letters and failed jobs: list, show, edit, send again, handle, remove."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote

import click

from ucam_faas.cli import _letter_texts as texts
from ucam_faas.cli._dlq_edit import edit
from ucam_faas.cli._dlq_replay import plan, plans, replay
from ucam_faas.cli._dlq_try import try_letters
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._letter_choice import Choose, filters, ids_or_filters
from ucam_faas.cli._letter_output import reveal_option, say_diff
from ucam_faas.cli._letter_texts import letters
from ucam_faas.cli._live_line import LiveLine
from ucam_faas.cli._messages import note, say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._table import print_table
from ucam_faas.cli._workbench import Open, with_workbench
from ucam_faas.dead_letters import documents
from ucam_faas.dead_letters.filters import OPEN, Filter
from ucam_faas.dead_letters.purges import PURGEABLE
from ucam_faas.logs.columns import INDENT
from ucam_faas.logs.links import path_of

LISTED = 50


@click.group("dlq", cls=SuggestingGroup, invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, json_only: bool) -> None:
    """List dead letters and failed jobs; show, edit, send again, handle and remove them.

    They are those of the `ucam-faas dev` that runs in this directory, or of the emulator at
    PUBSUB_EMULATOR_HOST if it is set; with --google, those of Google's Pub/Sub. They stay there:
    the commands work on a copy in .ucam-faas/. Without a command it works like list.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_letters, json_only=json_only)


@command.command("list")
@filters
@click.option("--each", is_flag=True, help="List the letters, and not their causes.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="NUMBER",
    default=LISTED,
    help=f"Most lines. [default: {LISTED}]",
)
@with_workbench
@json_option
def list_letters(
    *, chosen: Filter, each: bool, limit: int, open_bench: Open, json_only: bool
) -> None:
    """List the causes of dead letters and failed jobs, or the letters.

    The most frequent cause comes first. With --each, or a --fingerprint, it lists the letters, the
    latest first.
    """
    bench = open_bench()
    workbench = bench.workbench
    if each or chosen.fingerprint:
        rows = workbench.letters(chosen, limit=limit)
        if json_only:
            print_json([documents.letter_json(letter) for letter in rows])
            return
        lines = [texts.letter_columns(letter, workbench.book.now()) for letter in rows]
        headings = texts.LETTERS
    else:
        groups = workbench.groups(chosen)[:limit]
        if json_only:
            print_json([documents.group_json(group) for group in groups])
            return
        lines = texts.group_columns(groups, workbench.book.now())
        headings = texts.CAUSES
    count = workbench.count(chosen)
    if not lines:
        like = " like that" if chosen != Filter() else ""
        say(f"There are no dead letters{like} in {bench.name}.")
        if chosen.states == OPEN:
            note("--state any lists also those that were dealt with.")
        return
    print_table(headings, lines)
    _tell_of_rest(count, len(lines), is_each=headings is texts.LETTERS)


def _tell_of_rest(count: int, lines: int, *, is_each: bool) -> None:
    if is_each and count > lines:
        note(f"These are the latest {lines} of {letters(count)}: --limit, or filters.")
    elif is_each:
        note("To show a letter with its reason: ucam-faas dlq show LETTER")
    else:
        causes = f"{lines} cause{'s' * (lines != 1)}"
        note(
            f"{letters(count)} with {causes}. To list the letters of a cause: "
            "ucam-faas dlq list --fingerprint CAUSE"
        )


@command.command("show")
@click.argument("id")
@with_workbench
@reveal_option
@json_option
def show(*, id: str, open_bench: Open, reveal: bool, json_only: bool) -> None:
    """Show the dead letter ID: its reason, payload, edits and history.

    ID is the letter's, its message's, or its job's.
    """
    bench = open_bench(all_letters=False)
    workbench = bench.workbench
    letter = workbench.letter(bench.one(id))
    shown = bench.may_show([letter.id], reveal=reveal)
    content, journal = workbench.content(letter.id), workbench.journal(letter=letter.id)
    if json_only:
        document = documents.letter_json(letter, data=content, reveal=shown)
        document["edits"] = list(workbench.diff(letter.id).lines) if shown else None
        document["journal"] = [documents.entry_json(entry, reveal=shown) for entry in journal]
        print_json(document)
        return
    say(texts.details(letter, workbench.book.now(), reveal=shown), indent=INDENT)
    if letter.edited:
        parts = texts.edited_parts(letter.content, content)
        say(f"\nedited; a replay sends {parts}:" if shown else f"\nedited: {parts}")
        if shown:
            say_diff(workbench.diff(letter.id).lines)
    if journal:
        say("")
    for entry in journal[::-1]:
        say(texts.entry_text(entry), indent=INDENT)
    if bench.dashboard:
        what, page = "Its runs and log lines", path_of("messages", letter.original_id)
        if letter.job:
            page = path_of("jobs", *letter.job.split("/", 1))
        elif not letter.original_id:
            what, page = "Its page", path_of("dead-letters", letter.id)
        note(f"{what}: {bench.dashboard}{page}")
    if letter.job:
        task, _, job = letter.job.partition("/")
        note(f"Its job: ucam-faas jobs show {quote(job)} --task {quote(task)} --traceback")


for _verb in (edit, plan, plans, replay, try_letters):
    command.add_command(_verb)


@command.command("handled")
@ids_or_filters
@click.option("--note", "remark", metavar="TEXT", default="", help="What was done about them.")
@with_workbench
@json_option
def handled(*, choose: Choose, remark: str, open_bench: Open, json_only: bool) -> None:
    """Note that letters need nothing more.

    The list leaves them out from then on, and Pub/Sub keeps them.
    """
    choose.check()
    bench = open_bench(all_letters=choose.every)
    number = bench.workbench.handled(choose.letters(bench), remark)
    _tell_number(number, "handled", json_only=json_only)


@command.command("reopen")
@ids_or_filters
@with_workbench
@json_option
def reopen(*, choose: Choose, open_bench: Open, json_only: bool) -> None:
    """Note that letters which were handled wait again."""
    choose.check()
    bench = open_bench(all_letters=choose.every)
    number = bench.workbench.reopen(choose.letters(bench))
    _tell_number(number, "open again", json_only=json_only)


@command.command("purge")
@ids_or_filters
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_workbench
@json_option
def purge(*, choose: Choose, yes: bool, open_bench: Open, json_only: bool) -> None:
    """Remove letters without sending them.

    Dead letters are removed from Pub/Sub, and failed jobs from the store. The copy in .ucam-faas/
    keeps them for a month.
    """
    choose.check()
    bench = open_bench(all_letters=choose.every)
    workbench = bench.workbench
    chosen = choose.letters(bench)
    among = chosen if isinstance(chosen, Filter) else Filter.of_ids(chosen)
    count = len(workbench.book.ids(among, among=PURGEABLE))
    if count and not yes:
        if not _is_terminal():
            raise click.UsageError(f"This removes {letters(count)} for good: give --yes.")
        click.confirm(f"Remove {letters(count)} from {bench.name} for good?", abort=True, err=True)
    line = LiveLine(quiet=json_only)
    try:
        number = bench.patiently(
            lambda: workbench.purge(chosen, lambda done: line.show(f"{done:,} of {letters(count)}"))
        )
    finally:
        line.end()
    _tell_number(number, f"removed from {bench.name}", json_only=json_only)
    sys.exit(0 if number == count else 1)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


@command.command("archive")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@ids_or_filters
@with_workbench
@json_option
def archive(*, file: Path, choose: Choose, open_bench: Open, json_only: bool) -> None:
    """Write letters to the new FILE, a line of JSON each.

    They stay where they are. The file has payloads: it is readable for you alone.
    """
    choose.check()
    bench = open_bench(all_letters=choose.every)
    number = bench.workbench.archive(choose.letters(bench), file)
    _tell_number(number, f"in {file}", json_only=json_only)


@command.command("journal")
@click.argument("id", required=False)
@click.option(
    "--limit", type=click.IntRange(1), metavar="NUMBER", default=LISTED, help="Most lines."
)
@with_workbench
@json_option
def journal(*, id: str | None, limit: int, open_bench: Open, json_only: bool) -> None:
    """Show who did what, and when.

    With ID, it shows what was done with that letter.
    """
    bench = open_bench(all_letters=False)
    letter = bench.one(id) if id else None
    entries = bench.workbench.journal(letter=letter, limit=limit)
    if json_only:
        print_json([documents.entry_json(entry, reveal=bench.shows) for entry in entries[::-1]])
    elif not entries:
        say("Nothing was done yet.")
    for entry in [] if json_only else entries[::-1]:
        say(texts.entry_text(entry, letter=letter is None), indent=INDENT)


def _tell_number(number: int, text: str, *, json_only: bool) -> None:
    if json_only:
        print_json({"letters": number})
    elif number:
        say(f"{letters(number)} {'is' if number == 1 else 'are'} {text}.")
    else:
        say("There are no dead letters like that.")
