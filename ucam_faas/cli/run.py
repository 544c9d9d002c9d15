"""`ucam-faas run`: run a task once, to its end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from ucam_faas.cli import _serving_options as options, _source
from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option_for, print_json
from ucam_faas.cli._start import start
from ucam_faas.exceptions import ConfigurationError


@click.command("run", cls=Verb)
@click.argument("task", required=False)
@options.input_file
@options.input_bucket
@options.debug
@json_option_for("Print the execution as JSON; the log goes to stderr.")
@_source.source_parameters
def command(task: str | None, source: str | None, json_only: bool, **arguments: Any) -> None:
    """Run TASK once and exit, as a Cloud Run job does.

    Without TASK, run the task of FUNCTION_TARGET, or the only task of SOURCE. The exit code is 0 if
    it succeeds.
    """
    if task and source is None and _source.is_source(task):
        task, source = None, task
    merged = options.merged(target=task, source=source, **arguments, long_running=True)
    sys.exit(run_once(merged, json_only=json_only))


def run_once(arguments: Mapping[str, Any], *, json_only: bool) -> int:
    """Run a task as options and environment say; return the exit code.

    Raises:
        ConfigurationError: they name more than one.
    """
    started = start(arguments)
    if len(started.tasks) != 1:
        names = ", ".join(repr(task.name) for task in started.tasks)
        raise ConfigurationError(
            f"Only one task can run. Name one of {names}: `ucam-faas run TASK`, or --target."
        )
    from ucam_faas.execution.log_lines import info_fields
    from ucam_faas.outcomes import name
    from ucam_faas.serving import run_once

    task = started.tasks[0]
    conclusion, exit_code = run_once.run(task, started.runtime)
    if json_only:
        print_json(
            {
                "task": task.name,
                "outcome": name(conclusion.outcome),
                "reason": conclusion.outcome.reason,
                "exit_code": exit_code,
                "result": (conclusion.info.model_extra or {}).get("result"),
                **info_fields(conclusion.info, payloads=False),
            }
        )
    return exit_code
