"""`ucam-faas publish`: send a task a message, once it is clear that the task would take it."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from ucam_faas import local_state, registry
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.filters import parse as parse_filter
from ucam_faas.limits import MAX_MESSAGE_BYTES, MAX_ORDERING_KEY_BYTES
from ucam_faas.policies import check_topic
from ucam_faas.publishing import Publisher
from ucam_faas.task import Kind, Task
from ucam_faas.triggers import check_attributes


def _pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Split each attribute at its first `=`."""
    for text in given:
        if not text.partition("=")[1]:
            raise click.BadParameter(f"{text!r}: expected KEY=VALUE, such as kind=order.")
    return dict(text.split("=", 1) for text in given)


@click.command("publish")
@click.argument("task", required=False)
@click.argument("data", required=False)
@click.option("--file", type=click.File("rb"), help="File with the data; -: standard input.")
@click.option("--sample", is_flag=True, help="Send data that is made up for the task.")
@click.option(
    "--attribute",
    "attributes",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_pairs,
    help="Attribute; may be repeated.",
)
@click.option("--ordering-key", default="", help="Messages with one key are delivered in order.")
@click.option(
    "--topic",
    help="Publish there instead of the task's topic. TASK is then not needed; without it, the "
    "data is not checked, and a single argument is DATA.",
)
@click.option("--source", help="Where TASK is. [FUNCTION_SOURCE; default: ./main.py]")
@click.option("--project", help="Project of the topic. [GOOGLE_CLOUD_PROJECT]")
@click.option("--google", is_flag=True, help="Publish to Google's Pub/Sub, not to a local one.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    task: str | None,
    data: str | None,
    file: IO[bytes] | None,
    sample: bool,
    attributes: dict[str, str],
    ordering_key: str,
    topic: str | None,
    source: str | None,
    project: str | None,
    google: bool,
) -> None:
    """Send a message to TASK, if DATA is what the task takes.

    It goes to the emulator of PUBSUB_EMULATOR_HOST; or to that of the `ucam-faas dev` that runs in
    this directory; or, with --google, to Google's Pub/Sub.
    """
    if topic and data is None and not file and not sample:
        task, data = None, task
    if (data is not None) + (file is not None) + sample > 1:
        raise click.UsageError("DATA, --file and --sample exclude one another.")
    if not topic and not task:
        raise click.UsageError("Missing argument 'TASK' (or --topic).")
    source = source or (ctx.obj or {}).get("source")
    settings = Settings.from_environ(source=source, project=project)
    cloud = local_state.read(Path.cwd())
    named = source or os.environ.get("FUNCTION_SOURCE") or cloud is None or not cloud.sources
    sources = [settings.source] if named or cloud is None else list(cloud.sources)
    found = _load(task, sources) if task else None
    payload = _payload(found, data, file, sample, attributes)
    if found is not None:
        _check(found, payload)
    _check_limits(payload, attributes, ordering_key)
    if topic is None:
        topic = _topic_of(found, attributes)
    check_topic(topic)
    far_side = _far_side(settings, project, cloud, google=google)
    if "/" not in topic:
        topic = f"projects/{_needed(far_side.project)}/topics/{topic}"
    if sample:
        click.echo(f"Data: {_shown(payload)}")
    message_id = far_side.publish(topic, payload, attributes, ordering_key)
    click.echo(f"Published message {message_id} to {topic} ({far_side.name}).")


def _load(name: str, sources: list[str]) -> Task:
    """Find a task in one of the sources."""
    holds = [s for s in sources[:-1] if name in {task.name for task in registry.load(s)}]
    tasks = registry.load((holds or sources[-1:])[0], name)
    if len(tasks) != 1:
        raise ConfigurationError(f"A message goes to one task: {name!r} names {len(tasks)}.")
    if tasks[0].trigger is None:
        raise ConfigurationError(
            f"{name!r} is an HTTP task, and has no topic: send a request to {tasks[0].path}."
        )
    return tasks[0]


def _payload(
    task: Task | None,
    data: str | None,
    file: IO[bytes] | None,
    sample: bool,
    attributes: dict[str, str],
) -> bytes:
    if file is not None:
        return file.read()
    if data is not None:
        return data.encode("utf-8", "surrogateescape")  # as it was on the command line
    if sample and task is None:
        raise ConfigurationError("--sample makes data up for a task: name one.")
    if task is None or (attributes and not sample):
        return b""
    from ucam_faas.samples import sample_data

    made_up = sample_data(task)
    if not sample:
        raise ConfigurationError(
            f"There is no data to send to {task.name!r}: give it as an argument or with --file, or "
            f"send, with --sample, what is made up for it: {_shown(made_up)}"
        )
    return made_up


def _check(task: Task, data: bytes) -> None:
    """Refuse data that the task would reject."""
    if task.kind is not Kind.MESSAGE or task.parse is None:
        return
    from pydantic import ValidationError

    try:
        task.parse(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        where = [".".join(map(str, item["loc"])) for item in found]
        texts = [
            f"{name}: {item['msg']}" if name else item["msg"]
            for name, item in zip(where, found, strict=True)
        ]
        reason = "; ".join(texts)  # with its words: the data are of who reads this
    except Exception as error:  # a parser raises what it likes
        reason = f"{type(error).__qualname__}: {error}"
    else:
        return
    wanted = getattr(task.message_type, "__name__", "its message type")
    raise ConfigurationError(
        f"The data is not what {task.name!r} takes ({wanted}), and was not sent: {reason}"
    )


def _check_limits(data: bytes, attributes: dict[str, str], ordering_key: str) -> None:
    check_attributes(attributes)
    if not data and not attributes:
        raise ConfigurationError("Pub/Sub takes no message without data or an attribute.")
    size = len(data) + sum(len(text.encode()) for pair in attributes.items() for text in pair)
    if size > MAX_MESSAGE_BYTES:
        raise ConfigurationError(
            f"The message has {size} bytes: Pub/Sub takes at most {MAX_MESSAGE_BYTES}."
        )
    if len(ordering_key.encode(errors="replace")) > MAX_ORDERING_KEY_BYTES:
        raise ConfigurationError(
            f"--ordering-key has more than {MAX_ORDERING_KEY_BYTES} bytes, Pub/Sub's limit."
        )


def _topic_of(task: Task | None, attributes: dict[str, str]) -> str:
    """Return a task's topic, and note when its filter stops the message."""
    assert task is not None, "there is a task, or a topic"
    trigger = task.trigger
    assert trigger is not None, "tasks without one are refused when they are loaded"
    if trigger.filter is not None and not parse_filter(trigger.filter)(attributes):
        click.secho(
            f"Note: the task's filter does not let this message through: {trigger.filter}",
            fg="yellow",
            err=True,
        )
    return trigger.topic


@dataclass(frozen=True, slots=True)
class _FarSide:
    publisher: Publisher
    name: str
    project: str | None
    """Of topics with short names."""
    hint: str
    """What to do when it does not take the message."""

    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], ordering_key: str
    ) -> str:
        """Publish, and return the message's id."""
        try:
            return self.publisher.publish(topic, data, attributes, ordering_key=ordering_key)
        except PublishError as error:
            raise PublishError(f"{error}. {self.hint}") from error


def _far_side(
    settings: Settings,
    project: str | None,
    cloud: local_state.LocalCloud | None,
    *,
    google: bool,
) -> _FarSide:
    host = settings.pubsub_emulator
    if google or (cloud is not None and not cloud.pubsub and host is None):
        project = project or (cloud.project if cloud and not google else settings.project)
        from ucam_faas.publishing.google import GooglePublisher

        hint = "Does the topic exist, and may you publish to it?"
        return _FarSide(GooglePublisher(), "Google's Pub/Sub", project, hint)
    from ucam_faas.publishing.rest import RestPublisher

    if cloud is not None and host in (None, cloud.pubsub):
        hint = "Is `ucam-faas dev` still running here, and does it serve this task?"
        publisher = RestPublisher(cloud.pubsub)
        return _FarSide(publisher, cloud.pubsub, project or cloud.project, hint)
    if host is None:
        raise ConfigurationError(
            "There is no local Pub/Sub to publish to: start `ucam-faas dev` in this directory, or "
            "set PUBSUB_EMULATOR_HOST; --google publishes to Google's."
        )
    hint = "PUBSUB_EMULATOR_HOST names this Pub/Sub: does it run, and does it have the topic?"
    return _FarSide(RestPublisher(host), host, settings.project, hint)


def _needed(project: str | None) -> str:
    if not project:
        raise ConfigurationError(
            "The topic's project is not known: give --project, or set GOOGLE_CLOUD_PROJECT."
        )
    return project


def _shown(data: bytes) -> str:
    """Return data as something to paste into a shell, where that is possible."""
    try:
        return shlex.quote(data.decode())
    except UnicodeDecodeError:
        return json.dumps(data.hex()) + " (hexadecimal)"
