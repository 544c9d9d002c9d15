"""`ucam-faas serve`, which is also `ucam-faas` without a verb: serve the tasks of a source."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ucam_faas.cli import _serving_options as options, _source
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_ready
from ucam_faas.cli._start import start
from ucam_faas.config import Settings
from ucam_faas.logs import setup
from ucam_faas.tasks.task import Kind, Task

logger = logging.getLogger("ucam_faas")


@click.command("serve", cls=Verb)
@options.target
@options.host
@options.port
@options.debug
@json_option_for("Print a line of JSON when the port is open; the log goes to stderr.")
@_source.source_parameters
def command(*, json_only: bool, **arguments: Any) -> None:
    """Serve the tasks of SOURCE over HTTP, as `ucam-faas` without a command does."""
    sys.exit(serve(options.merged(**arguments, long_running=False), json_only=json_only))


def serve(arguments: Mapping[str, Any], *, json_only: bool) -> int:
    """Serve as options and environment say; return the exit code."""
    started = start(arguments)
    from ucam_faas.serving import server
    from ucam_faas.serving.app import App
    from ucam_faas.serving.observer import Observer
    from ucam_faas.serving.pushed import pushed

    settings = started.settings
    tasks = pushed(started.tasks, named=settings.target is not None)
    left_out = [task.name for task in started.tasks if task not in tasks]
    listener = server.bind(settings.host, settings.port)
    port = listener.getsockname()[1]
    setup.write_in_background(started.handler)

    class Announcer(Observer):
        def opened(self) -> None:
            _announce(tasks, left_out, settings, port, json_only=json_only)

    server.run(App(tasks, started.runtime, Announcer()), listener)
    return 0


def _announce(
    tasks: Sequence[Task],
    left_out: Sequence[str],
    settings: Settings,
    port: int,
    *,
    json_only: bool,
) -> None:
    """Show the tasks, those of batches that are left out, and a command that sends a message."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    fields = {"url": url, "tasks": [task.name for task in tasks]}
    if left_out:
        fields["not_served"] = left_out
    if json_only:
        print_ready(url=url, tasks=fields["tasks"], not_served=left_out)
    if setup.is_console(settings):
        click.echo(f"Serving {len(tasks)} task{'s' * (len(tasks) != 1)} on {url}\n")
        width = max(len(task.name) for task in tasks)
        for task in tasks:
            click.echo(f"  {task.name:<{width}}  {task.kind:<16}  {task.route}")
        if left_out:
            pull = f"ucam-faas worker --target {','.join(left_out)}"
            click.echo(f"\nNot served, because they take batches; pull them:\n\n  {pull}")
        click.echo(f"\nSend a message:\n\n  {example(tasks, url)}\n")
    else:
        logger.info("ucam_faas_serving", extra={"fields": fields})


def _easy_to_sample(task: Task) -> int:
    """Prefer tasks for which an accepted message can be made up."""
    if task.kind is not Kind.MESSAGE:
        return int(task.kind is Kind.RAW)
    has_schema = hasattr(task.message_type, "model_json_schema")
    return 4 if has_schema else 3 if task.message_type is None else 2


def example(tasks: Sequence[Task], url: str) -> str:
    """Return a shell line that sends something to the first task that takes messages."""
    first = max(tasks, key=_easy_to_sample)
    if first.kind is Kind.HTTP:
        path = first.route.replace("<", "{").replace(">", "}")
        return f"curl -X {first.methods[0]} {shlex.quote(url + path)}"
    if first.kind is Kind.RAW:
        return f"curl {url}/{first.name} -d 'hello'"
    from ucam_faas.tasks.samples import sample_push

    body = sample_push(first)
    return f"curl {url}/{first.name} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
