"""`ucam-faas send`: send a job to a task, once it is clear that the task would take its payload."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import IO, Any

import click

from ucam_faas.actions import message_data
from ucam_faas.actions.job_documents import as_json
from ucam_faas.cli import _job_store, _local_cloud, _message_data, _source
from ucam_faas.cli._following import follow
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import say, tell
from ucam_faas.cli._output import json_option_for, print_json, remember
from ucam_faas.cli._parameters import DURATION, RETRY, TIME, pairs
from ucam_faas.cli._source import is_source, source_parameters
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.sending import sends
from ucam_faas.tasks.task import Task


@click.command("send", cls=Verb)
@click.argument("task")
@click.argument("data", required=False)
@click.option("--file", type=click.File("rb"), help="File with the data; -: standard input.")
@click.option("--sample", is_flag=True, help="Send made-up data that the task accepts.")
@click.option(
    "--id", help="Id of the job: sent again with the same data, it is the same job. [default: new]"
)
@click.option("--delay", type=DURATION, help="Start after this time, such as 30s, 5m or 2d.")
@click.option("--at", type=TIME, help="Start at this time, such as 2026-12-01T09:00:00Z.")
@click.option("--ttl", type=DURATION, help="End the job if it hasn't started within this time.")
@click.option("--timeout", type=DURATION, help="Time limit of each attempt. [default: the task's]")
@click.option(
    "--retry",
    type=RETRY,
    metavar="ATTEMPTS",
    help="Maximum number of attempts, optionally with the first and the longest wait, as in "
    "20,1m,1d. The wait doubles each time. [default: the task's]",
)
@click.option(
    "--retention",
    type=DURATION,
    help="Keep the job for this time after its end. [default: the task's]",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="KEY=VALUE",
    multiple=True,
    callback=pairs,
    help="Attribute of the message that TASK gets; may be repeated.",
)
@click.option("--lane", help="Lane of TASK that runs the job. [default: default]")
@click.option("--ordering-key", default="", help="Ordering key of that message.")
@click.option("--wait", is_flag=True, help="Wait for the end, and print the result.")
@click.option("--wait-timeout", type=DURATION, help="With --wait: stop waiting after this time.")
@json_option_for("Print the job as JSON.")
@source_parameters
def command(
    *,
    task: str,
    data: str | None,
    file: IO[bytes] | None,
    sample: bool,
    wait: bool,
    wait_timeout: timedelta | None,
    json_only: bool,
    source: str | None,
    **options: Any,
) -> None:
    """Send DATA to TASK as a job, after checking that the task accepts it.

    The job goes to the store at UCAM_FAAS_JOB_STORE if it is set, else to the `ucam-faas dev` that
    runs in this directory.

    With --wait, the changes of the job's state go to stderr, and its result to stdout. The exit
    code is 0 after success, 1 after another end, and 2 after an error or the --wait-timeout.
    """
    if (data is not None) + (file is not None) + sample > 1:
        raise click.UsageError("Give only one of DATA, --file and --sample.")
    if source and data is not None and not (is_source(source) or source.isidentifier()):
        raise click.UsageError(f"Got unexpected extra argument ({source}): put DATA in quotes.")
    if wait_timeout is not None and not wait:
        raise click.UsageError("--wait-timeout is for --wait.")
    if options["delay"] is not None and options["at"] is not None:
        raise click.UsageError("Give only one of --delay and --at.")
    cloud = _local_cloud.find(source)
    loaded = _source.load_one(_source.of_cloud(source, cloud), task)
    payload = _payload(loaded, data, file, sample=sample)
    jobs = _job_store.find(source)
    there = jobs.store.get(Key(jobs.app, loaded.name, options["id"])) if options["id"] else None
    before = jobs.store.now()
    job = _send(loaded, payload, options)
    remember(id=job.id, task=job.task)
    if there is None and loaded.jobs.unique is not None:
        row = jobs.row(job.id, job.task)
        there = row if row.created < before else None
    if not json_only:
        _tell_sent(job, there, has_chosen_id=bool(options["id"]), wait=wait)
    if wait:
        sys.exit(follow(jobs, job, timeout=wait_timeout, json_only=json_only))
    if json_only:
        print_json(as_json(jobs.row(job.id, job.task)))


def _payload(task: Task, data: str | None, file: IO[bytes] | None, *, sample: bool) -> bytes | None:
    """Return data that the task accepts; None: it takes none."""
    if task.takes_nothing and data is None and file is None:
        return None
    schema = _message_data.schema_of(task)
    payload = _message_data.data_of(
        task, data, file, sample=sample, may_be_empty=False, schema=schema
    )
    message_data.check(task, payload)
    return payload


def _send(task: Task, payload: bytes | None, options: dict[str, Any]) -> Job[Any]:
    payloads = () if payload is None else (payload,)
    try:
        return sends.send(task, *payloads, **options)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def _tell_sent(job: Job[Any], there: Row | None, *, has_chosen_id: bool, wait: bool) -> None:
    text = f"Sent job {job.id} to {job.task}."
    if there is not None:
        text = f"{job.task} has the job {job.id} already: it was {there.state}."
    if wait:
        tell(text)
    else:
        task = (
            f" --task {job.task}" if has_chosen_id else ""
        )  # jobs of other tasks may have the id, too
        say(f"{text} To follow it:\n  ucam-faas jobs wait {job.id}{task}")
