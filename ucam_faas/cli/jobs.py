"""`ucam-faas jobs`: list jobs; show, cancel, retry, resume and delete them, or wait for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import click

from ucam_faas.actions.job_documents import as_json, step_as_json
from ucam_faas.actions.jobs import ACTIONS, Filter, Result, act, rows_for
from ucam_faas.cli import _job_store
from ucam_faas.cli._following import follow
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._job_table import print_jobs
from ucam_faas.cli._job_texts import columns, details
from ucam_faas.cli._messages import note, say, tell
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._parameters import DURATION, LANE
from ucam_faas.jobs.members import batch_of
from ucam_faas.jobs.states import State
from ucam_faas.logs.columns import INDENT

LISTED = 50

_Verb = Callable[..., None]


_of_task = click.option("--task", metavar="NAME", help="Name of the task.")


@click.group("jobs", cls=SuggestingGroup, invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, json_only: bool) -> None:
    """List jobs; show, cancel, retry, resume and delete them, or wait for them.

    They are in the store at UCAM_FAAS_JOB_STORE if it is set, else in that of the `ucam-faas dev`
    that runs in this directory. Without a command it works like list.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_jobs, json_only=json_only)


def _filters(verb: _Verb) -> _Verb:
    """Give a verb the options that choose jobs, without a limit."""
    options = (
        _of_task,
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice([str(state) for state in State], case_sensitive=False),
            metavar="STATE",
            help=f"{', '.join(map(str.lower, State))}; may be repeated.",
        ),
        click.option("--lane", type=LANE, metavar="NAME", help="Lane of their task."),
        click.option(
            "--batch", metavar="ID", help="Batch of this callback; TASK/ID names its task, too."
        ),
        click.option("--older", type=DURATION, help="Sent longer ago than this, such as 2h or 7d."),
        click.option("--newer", type=DURATION, help="Sent within this time."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def _limit(default: int | None, help: str) -> Callable[[_Verb], _Verb]:
    return click.option(
        "--limit", type=click.IntRange(1), metavar="NUMBER", default=default, help=help
    )


@command.command("list")
@_filters
@_limit(LISTED, f"Most jobs; the latest come first. [default: {LISTED}]")
@json_option
def list_jobs(*, json_only: bool = False, **chosen: Any) -> None:
    """List jobs, the latest first."""
    jobs = _job_store.find()
    chosen_jobs = Filter.of(**chosen)
    rows = list(chosen_jobs.rows(jobs))
    if json_only:
        print_json([as_json(row) for row in rows])
        return
    if not rows:
        like = " like that" if chosen_jobs.narrows else ""
        say(f"There are no jobs{like} in {jobs.name} (application {jobs.app!r}).")
        return
    now = jobs.store.now()
    print_jobs([columns(row, now) for row in rows])
    if len(rows) == chosen_jobs.limit:
        note(f"These are the latest {len(rows)}; there may be more: --limit, or filters.")


@command.command("show")
@click.argument("id")
@_of_task
@click.option("--data", is_flag=True, help="Show payload, attributes and result.")
@click.option("--traceback", is_flag=True, help="Show the traceback of the last error.")
@json_option
def show(*, id: str, task: str | None, data: bool, traceback: bool, json_only: bool) -> None:
    """Show the job ID, its history, and the names and times of its steps.

    Of the callback of a batch, it shows the states of the jobs in the batch.
    """
    jobs = _job_store.find()
    row = jobs.row(id, task)
    steps = jobs.store.steps(row.key)
    members = jobs.store.count_members(row.key.app, batch_of(row.key))
    if json_only:
        document = as_json(row, data=data, traceback=traceback)
        document["steps"] = [step_as_json(step) for step in steps]
        document["members"] = members
        print_json(document)
    else:
        now = jobs.store.now()
        say(details(row, now, steps, members, data=data, traceback=traceback), indent=INDENT)


@command.command("wait")
@click.argument("id")
@_of_task
@click.option("--timeout", type=DURATION, help="Stop waiting after this time, such as 5m.")
@json_option
def wait(*, id: str, task: str | None, timeout: timedelta | None, json_only: bool) -> None:
    """Wait for the job ID, and print its result.

    The changes of the job's state go to stderr, and its result to stdout. The exit code is 0 after
    success, 1 after another end, and 2 after an error or the --timeout.
    """
    jobs = _job_store.find()
    job = jobs.job(jobs.row(id, task).key)
    sys.exit(follow(jobs, job, timeout=timeout, json_only=json_only))


_EXIT_CODES = """Name jobs by their ids, or choose them with --all and filters. The exit code
is 0 if it was done for each job, 1 if the state of one forbids it, and 2 after an error."""


def _acting(name: str, text: str) -> None:
    """Add a command that does something to jobs."""
    states = ", ".join(state.lower() for state in State if state in ACTIONS[name].by_default)
    every_help = f"All jobs that the filters choose; without --state: {states}."

    @command.command(name, help=f"{text}\n\n{_EXIT_CODES}")
    @click.argument("ids", metavar="[ID]...", nargs=-1)
    @click.option("--all", "every", is_flag=True, help=every_help)
    @_filters
    @_limit(None, "With --all: most jobs; the latest come first. Without it: every one.")
    @json_option
    def verb(*, ids: tuple[str, ...], every: bool, json_only: bool, **chosen: Any) -> None:
        if bool(ids) == every:
            raise click.UsageError("Name jobs by their ids, or choose them with --all and filters.")
        jobs = _job_store.find()
        if every:
            rows = rows_for(jobs, name, Filter.of(**chosen))
        else:
            rows = iter([jobs.row(id, chosen["task"]) for id in ids])
        results = (act(jobs, name, row) for row in rows)
        if json_only:
            done = list(results)
            print_json([result.as_json() for result in done])
        else:
            done = _tell(results)
        sys.exit(0 if all(result.done for result in done) else 1)


def _tell(results: Iterator[Result]) -> list[Result]:
    """Print each result when it is there, and return them."""
    told = []
    for result in results:
        say(result.text, None if result.done else "yellow")
        told.append(result)
    if not told:
        say("There are no jobs like that.")
    elif len(told) > LISTED:
        note(f"{sum(result.done for result in told)} of {len(told)} jobs.")
    return told


_acting(
    "cancel",
    "Cancel jobs.\n\nThose that wait end at once. The process of one that runs is asked to end it.",
)
_acting(
    "retry",
    "Run jobs again that ended without success.\n\n"
    "Their attempts count from 0 again; the steps that they have done aren't repeated.",
)
_acting("resume", "Let paused jobs go on.")
_acting(
    "delete",
    "Remove jobs that don't run.\n\nTheir results are removed, too, and their ids are free again.",
)


@command.command("migrate")
@json_option
def migrate(*, json_only: bool) -> None:
    """Create the table of the job store.

    Run it before you deploy a new version; repeating it is harmless. SQLite's table is created
    automatically. For Firestore, it prints the commands that create the indexes and the TTL policy.
    """
    jobs = _job_store.find()
    commands = list(jobs.store.migrate())
    if json_only:
        print_json({"store": jobs.name, "commands": commands})
    elif commands:
        tell(
            f"Run these once for {jobs.name}. If an index already exists, its command fails "
            "harmlessly:"
        )
        click.echo("\n".join(commands))
    else:
        say(f"{jobs.name} has its table.")
