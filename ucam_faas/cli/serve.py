"""Serving the tasks of a source, or running one of them once."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from typing import Any

import click

from ucam_faas.config import Settings, mistyped
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import runtime
from ucam_faas.logs import setup
from ucam_faas.tasks import environment, registry
from ucam_faas.tasks.task import Kind, Task

logger = logging.getLogger("ucam_faas")


def serve(given: dict[str, Any]) -> int:
    """Serve, or run once, as options and environment say; return the exit code."""
    settings = Settings.from_environ(**given)
    handler = setup.configure(settings)
    for variable, hint in mistyped(os.environ).items():
        fields = {"variable": variable, "hint": hint}
        logger.warning("ucam_faas_unknown_variable", extra={"fields": fields})
    if not settings.long_running and (settings.input_file or settings.input_bucket):
        raise ConfigurationError("An input file or bucket is for --long-running: add it.")
    tasks = registry.load(settings.source, settings.target)
    environment.HERE.add_all(tasks)
    setup.adopt_structlog()
    built = runtime.build(settings, tasks)
    if settings.long_running:
        return _run_once(tasks, built)
    from ucam_faas.serving import server
    from ucam_faas.serving.app import App
    from ucam_faas.serving.observer import Observer

    listener = server.bind(settings.host, settings.port)
    port = listener.getsockname()[1]
    setup.write_in_background(handler)

    class Announcer(Observer):
        def opened(self) -> None:
            _announce(tasks, settings, port)

    server.run(App(tasks, built, Announcer()), listener)
    return 0


def _run_once(tasks: Sequence[Task], built: runtime.Runtime) -> int:
    from ucam_faas.serving import run_once

    if len(tasks) != 1:
        raise ConfigurationError("--long-running runs one task: name just one with --target.")
    return run_once.run(tasks[0], built)


def _announce(tasks: Sequence[Task], settings: Settings, port: int) -> None:
    """Say what is served, and with which line to send a message."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    fields = {"url": url, "tasks": [task.name for task in tasks]}
    if setup.is_console(settings):
        click.echo(f"Serving {len(tasks)} task{'s' * (len(tasks) != 1)} on {url}\n")
        width = max(len(task.name) for task in tasks)
        for task in tasks:
            path = task.path if task.kind is Kind.HTTP else f"/{task.name}"
            click.echo(f"  {task.name:<{width}}  {task.kind:<16}  {path}")
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
        path = (first.path or "/").replace("<", "{").replace(">", "}")
        return f"curl -X {first.methods[0]} {shlex.quote(url + path)}"
    if first.kind is Kind.RAW:
        return f"curl {url}/{first.name} -d 'hello'"
    from ucam_faas.tasks.samples import sample_push

    body = sample_push(first)
    return f"curl {url}/{first.name} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
