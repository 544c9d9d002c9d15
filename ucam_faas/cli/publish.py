"""`ucam-faas publish`: send a task a message, once it is clear that the task would take it."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import IO

import click

from ucam_faas.actions import message_data, publishing
from ucam_faas.cli import _local_cloud, _message_data, _source, _waiting
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import note
from ucam_faas.cli._output import json_option
from ucam_faas.cli._parameters import pairs
from ucam_faas.cli._publish_report import Report
from ucam_faas.cli._source import is_source, source_parameters
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.gcp.filters import parse as parse_filter
from ucam_faas.publishing.messages import check_message, message_attributes
from ucam_faas.tasks.policies import check_topic
from ucam_faas.tasks.task import Task


@click.command("publish", cls=Verb)
@click.argument("task", required=False)
@click.argument("data", required=False)
@click.option("--file", type=click.File("rb"), help="File with the data; -: standard input.")
@click.option("--sample", is_flag=True, help="Send made-up data that the task accepts.")
@click.option(
    "--attribute",
    "attributes",
    metavar="KEY=VALUE",
    multiple=True,
    callback=pairs,
    help="Attribute; may be repeated.",
)
@click.option(
    "--ordering-key", default="", help="Messages with the same key are delivered in order."
)
@click.option("--dry-run", is_flag=True, help="Check and show the message; don't publish it.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until TASK has handled the message under `ucam-faas dev`. The exit code is 0, or 1 "
    "for a dead letter.",
)
@click.option(
    "--topic",
    help="Publish to this topic, not the task's. TASK may be left out: a single argument is then "
    "DATA, and isn't checked.",
)
@click.option("--project", help="Project of the topic. [GOOGLE_CLOUD_PROJECT]")
@click.option("--google", is_flag=True, help="Publish to Google's Pub/Sub, not to a local one.")
@json_option
@source_parameters
def command(
    *,
    task: str | None,
    data: str | None,
    file: IO[bytes] | None,
    sample: bool,
    attributes: dict[str, str],
    ordering_key: str,
    dry_run: bool,
    wait: bool,
    topic: str | None,
    source: str | None,
    project: str | None,
    google: bool,
    json_only: bool,
) -> None:
    """Send DATA to TASK as a message, after checking that the task accepts it.

    For a protobuf message type, or a topic_schema in Avro, DATA (or the file) may be the message as
    JSON: it is encoded. The message goes to
    the emulator at PUBSUB_EMULATOR_HOST if it is set, else to the `ucam-faas dev` that runs in this
    directory; with --google, to Google's Pub/Sub.
    """
    if topic and data is None and not file and not sample:
        task, data = None, task
    ways = (data is not None) + (file is not None) + sample
    _check_usage(task, data, topic, source, ways=ways)
    if wait and (dry_run or topic or google):
        raise click.UsageError("--wait can't be combined with --dry-run, --topic or --google.")
    emulator = "PUBSUB_EMULATOR_HOST" if google else None  # that isn't meant
    environ = {name: text for name, text in os.environ.items() if name != emulator}
    settings = Settings.from_environ(environ, project=project)
    cloud = _local_cloud.find(source)
    loaded = _load(task, _source.of_cloud(source, cloud)) if task else None
    schema = _message_data.schema_of(loaded)
    payload = _message_data.data_of(
        loaded, data, file, sample=sample, may_be_empty=bool(attributes), schema=schema
    )
    attributes = _checked(loaded, payload, attributes, ordering_key)
    topic = topic or _topic_of(loaded, attributes, wait=wait)
    check_topic(topic)
    report = Report(loaded, payload, attributes, ordering_key, quiet=json_only)
    if sample or dry_run:
        report.show_data(schema)
    find = partial(
        publishing.find, settings, project, cloud, google=google, elsewhere=_local_cloud.elsewhere
    )
    if dry_run:
        report.unpublished(topic, find)
        return
    destination = find()
    topic = destination.full_name(topic)
    history = _waiting.history_of(destination) if wait else ""
    message_id = destination.publish(topic, payload, attributes, ordering_key)
    report.published(message_id, topic, destination.name)
    if wait and loaded is not None:
        steps = _waiting.wait(history, loaded.name, message_id, quiet=json_only)
        report.handled(steps)
        sys.exit(0 if _waiting.is_handled(steps) else 1)
    report.end()


def _check_usage(
    task: str | None, data: str | None, topic: str | None, source: str | None, *, ways: int
) -> None:
    if ways > 1:
        raise click.UsageError("Give only one of DATA, --file and --sample.")
    if not topic and not task:
        raise click.UsageError("Missing argument 'TASK' (or --topic).")
    if source and data is not None and not (is_source(source) or source.isidentifier()):
        raise click.UsageError(f"Got unexpected extra argument ({source}): put DATA in quotes.")


def _load(name: str, sources: list[str]) -> Task:
    """Find a task with a topic in one of the sources."""
    task = _source.load_one(sources, name)
    if task.trigger is None:
        raise ConfigurationError(
            f"{name!r} is an HTTP task, and has no topic: send a request to {task.path}."
        )
    return task


def _checked(
    task: Task | None, data: bytes, attributes: dict[str, str], ordering_key: str
) -> dict[str, str]:
    """Return the attributes of a message that its task and Pub/Sub take."""
    if task is not None:
        message_data.check(task, data)
        if task.takes_nothing:
            attributes = message_attributes(data, attributes)
    try:
        check_message(data, attributes, ordering_key)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return attributes


def _topic_of(task: Task | None, attributes: dict[str, str], *, wait: bool) -> str:
    """Return a task's topic, and note when its filter stops the message.

    Raises:
        ConfigurationError: it does, and waiting would never end.
    """
    assert task is not None, "there is a task, or a topic"
    trigger = task.trigger
    assert trigger is not None, "tasks without one are refused when they are loaded"
    if trigger.filter is not None and not parse_filter(trigger.filter)(attributes):
        text = f"the task's filter does not let this message through: {trigger.filter}"
        if wait:
            raise ConfigurationError(
                f"--wait would never end, because {text}. Add what it asks for with --attribute."
            )
        note(f"Note: {text}")
    return trigger.topic
