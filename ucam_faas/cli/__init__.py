"""The command line: `ucam-faas` serves, or runs a task once; each other verb is a file."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from ucam_faas.cli import _serving_options as options
from ucam_faas.cli._errors import reported
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._output import json_option_for
from ucam_faas.cli._source import HELP
from ucam_faas.config import Settings
from ucam_faas.dev.env_file import NAME, EnvFile

_VERBS = {
    "asyncapi": "describe the topics of tasks and their messages as AsyncAPI",
    "check": "find contradictions between code, configuration and Terraform",
    "completion": "print the script that completes commands and task names in a shell",
    "config": "print the configuration of each task, and the origin of each value",
    "dashboard": "show tasks, messages, jobs and dead letters in a browser",
    "dev": "serve tasks on this machine, with an embedded Pub/Sub and scheduler",
    "dlq": "list dead letters and failed jobs; show, edit, send again and remove them",
    "doctor": "find problems that keep tasks from running here, and their remedies",
    "emulator": "run Pub/Sub, Cloud Scheduler and Cloud Tasks on this machine",
    "jobs": "list jobs; show, await, cancel, retry, resume and delete them",
    "lanes": "list the lanes of tasks; pause and resume them",
    "mcp": "serve tools for coding agents, by the Model Context Protocol",
    "new": "write a new collection of tasks, or a new task in one",
    "plan": "write the resources that tasks need, as variables for Terraform",
    "publish": "publish a message to a task's topic",
    "run": "run a task once, as a Cloud Run job does",
    "schedules": "list, run, pause and resume schedules",
    "send": "send a job to a task, and follow it",
    "serve": "serve tasks over HTTP, as in production",
    "sweep": "wake, expire and remove the jobs that are due for it, once",
    "tasks": "list the tasks of a source",
    "worker": "pull the messages of tasks from Pub/Sub, and run them",
}


_LOCAL = (
    *("dashboard", "dev", "dlq", "jobs", "lanes", "mcp", "publish", "schedules", "send"),
    *("sweep", "tasks", "worker"),
)
"""Verbs that work with a local cloud, and so read `.env`."""


_WORDS = f"{__name__}.words"
"""Where the context has the words of the command line."""


class _Group(SuggestingGroup):
    """Verbs are imported when they are called, and errors are one line."""

    def make_context(
        self, info_name: str | None, args: list[str], *arguments: Any, **extra: Any
    ) -> click.Context:
        """Parse the arguments before the verb."""
        words = tuple(args)
        with reported(words):
            context = super().make_context(info_name, args, *arguments, **extra)
        context.meta[_WORDS] = words
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs."""
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"ucam_faas.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and turn our errors into one line and an exit code."""
        with reported(ctx.meta[_WORDS], ctx):
            return super().invoke(ctx)


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@options.target
@click.option("--source", help=HELP)
@options.host
@options.port
@options.debug
@click.option(
    "--long-running",
    is_flag=True,
    default=None,
    help="Run the target once and exit, as `ucam-faas run` does. [LONG_RUNNING]",
)
@options.input_bucket
@options.input_file
@json_option_for("Print JSON, whatever the command is.")
@click.version_option(package_name="ucam-faas", prog_name="ucam-faas")
@click.pass_context
def main(ctx: click.Context, /, *, json_only: bool, **arguments: Any) -> None:
    """Serve decorated Python functions as tasks on Google Cloud.

    Without a command it works like serve, or with --long-running like run.
    """
    ctx.obj = arguments
    if ctx.invoked_subcommand is None:
        sys.exit(_without_a_verb(arguments, json_only=json_only))
    if ctx.invoked_subcommand in _LOCAL:
        env_file = EnvFile(Path(NAME), os.environ)
        env_file.load()  # before the verb reads its options from variables
        ctx.meta[NAME] = env_file


def _without_a_verb(arguments: dict[str, Any], *, json_only: bool) -> int:
    """Serve, or run a task once, as options and environment say; return the exit code."""
    if Settings.from_environ(long_running=arguments["long_running"]).long_running:
        from ucam_faas.cli.run import run_once

        return run_once(arguments, json_only=json_only)
    from ucam_faas.cli.serve import serve

    return serve(arguments, json_only=json_only)
