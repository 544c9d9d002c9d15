"""`ucam-faas dlq plan`, `plans` and `replay`: send dead letters again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from ucam_faas.cli import _letter_texts as texts, _replaying
from ucam_faas.cli._errors import INTERRUPTED
from ucam_faas.cli._group import Verb
from ucam_faas.cli._letter_choice import Choose, ids_or_filters
from ucam_faas.cli._letter_output import reveal_option, say_diff
from ucam_faas.cli._messages import note, say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._table import print_table
from ucam_faas.cli._workbench import Bench, Open, with_workbench
from ucam_faas.dead_letters import documents
from ucam_faas.dead_letters.plans import Excluded, Plan, Row, RowState
from ucam_faas.dead_letters.targets import To
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.logs.columns import printable

_SHOWN_DIFFS = 3
_SHOWN_FAILURES = 5
_PAGE = 500

_again = click.option(
    "--again", is_flag=True, help="Send also letters that have been sent again before."
)
_to = click.option(
    "--to",
    type=click.Choice([str(to) for to in To]),
    help="Receiver: the task's inbox, its endpoint, or its job. [default: the task's best]",
)


@click.command("plan", cls=Verb)
@ids_or_filters
@_to
@_again
@with_workbench
@reveal_option
@json_option
def plan(
    *, choose: Choose, to: str | None, again: bool, open_bench: Open, reveal: bool, json_only: bool
) -> None:
    """Plan a replay, and send nothing: the dry run.

    It shows which letters would be sent, to where, with which edits, and which are left out.
    The plan is kept: `ucam-faas dlq replay --plan PLAN` sends exactly its letters.
    """
    choose.check()
    bench = open_bench(all_letters=choose.every)
    planned = _plan(bench, choose, to, again=again)
    if json_only:
        print_json(_plan_document(bench.workbench, planned))
    else:
        say(texts.plan_text(planned))
        _say_edits(bench, planned, reveal=reveal)
    if not planned.total:
        bench.workbench.drop(planned.id)
    elif not json_only:
        note(f"To send: ucam-faas dlq replay --plan {planned.id}")


def _plan(bench: Bench, choose: Choose, to: str | None, *, again: bool) -> Plan:
    chosen = choose.letters(bench)
    return bench.workbench.plan(chosen, to=To(to) if to else None, again=again)


def _plan_document(workbench: Workbench, plan: Plan) -> dict[str, Any]:
    rows, excluded = _rows(workbench, plan.id), _exclusions(workbench, plan.id)
    kept = {} if plan.total else {"id": None}
    return documents.plan_json(plan, rows, excluded) | kept


def _rows(workbench: Workbench, plan: str, state: RowState | None = None) -> Iterator[Row]:
    after = 0
    while rows := workbench.rows(plan, state=state, after=after, limit=_PAGE):
        yield from rows
        after = rows[-1].position


def _exclusions(workbench: Workbench, plan: str) -> Iterator[Excluded]:
    after = 0
    while excluded := workbench.exclusions(plan, after=after, limit=_PAGE):
        yield from excluded
        after += len(excluded)


def _say_edits(bench: Bench, plan: Plan, *, reveal: bool) -> None:
    """Print the edits of a plan, or of its first letters."""
    if not plan.edited or not (bench.shows or reveal):
        return
    edited = [row.letter for row in _rows(bench.workbench, plan.id) if row.edited]
    bench.may_show(edited[:_SHOWN_DIFFS], reveal=reveal)
    for id in edited[:_SHOWN_DIFFS]:
        say(f"\n{printable(id)}")
        say_diff(bench.workbench.diff(id).lines)
    if len(edited) > _SHOWN_DIFFS:
        note(f"{len(edited) - _SHOWN_DIFFS} more are edited: ucam-faas dlq show ID")


@click.command("plans", cls=Verb)
@with_workbench
@json_option
def plans(*, open_bench: Open, json_only: bool) -> None:
    """List the plans, and how far they are."""
    bench = open_bench(all_letters=False)
    rows = bench.workbench.plans()
    if json_only:
        print_json([documents.plan_json(plan) for plan in rows])
    elif rows:
        now = bench.workbench.book.now()
        print_table(texts.PLANS, [texts.plan_columns(plan, now) for plan in rows])
    else:
        say(f"There are no plans for {bench.name}.")


@click.command("replay", cls=Verb)
@ids_or_filters
@click.option("--plan", "plan_id", metavar="PLAN", help="Send the letters of this plan.")
@_to
@_again
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="NUMBER", help="Most per second."
)
@with_workbench
@json_option
def replay(
    *,
    choose: Choose,
    plan_id: str | None,
    to: str | None,
    again: bool,
    rate: float | None,
    open_bench: Open,
    json_only: bool,
) -> None:
    """Send letters again, each to its task alone.

    A dead letter is acknowledged when its task has it; a failed job runs again. Control-C stops
    it, and the same plan goes on later. The exit code is 0 if all letters were sent and
    acknowledged, 1 if some weren't, 130 after Control-C, and 2 after an error.
    """
    if plan_id is None:
        choose.check()
    elif not choose.is_nothing or to or again:
        raise click.UsageError("--plan has its letters: choose no others, and no receiver.")
    bench = open_bench(all_letters=choose.every)
    workbench = bench.workbench
    if plan_id is None:
        planned = _plan(bench, choose, to, again=again)
    else:
        planned = workbench.plan_of(plan_id)
    if not json_only and (plan_id is None or not planned.total):
        say(texts.plan_text(planned))
    if not planned.total:
        if json_only:
            print_json(_plan_document(workbench, planned))
        if plan_id is None:
            workbench.drop(planned.id)
        sys.exit(1 if planned.excluded else 0)
    report = _replaying.run(bench, planned.id, rate=rate, quiet=json_only)
    ended = workbench.plan_of(planned.id)
    if json_only:
        print_json(documents.report_json(report) | {"left_out": ended.excluded})
    else:
        _tell_failures(workbench, planned.id)
        is_done = not (report.left or report.given_up)
        say(texts.report_text(report, planned), None if is_done else "yellow")
        if report.left_out:
            say("\n".join(texts.excluded_lines(ended)))
    if report.is_cancelled:
        sys.exit(INTERRUPTED)
    sys.exit(1 if report.left or report.given_up or ended.excluded else 0)


def _tell_failures(workbench: Workbench, plan: str) -> None:
    states = RowState.UNCERTAIN, RowState.FAILED
    failed = [row for state in states for row in _rows(workbench, plan, state)]
    for row in failed[:_SHOWN_FAILURES]:
        note(printable(f"{row.letter}: {row.reason}"))
    if len(failed) > _SHOWN_FAILURES:
        note(f"{len(failed) - _SHOWN_FAILURES} more failed.")
