"""`ucam-faas schedules`: list schedules and their next runs; run, pause and resume them."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import click

from ucam_faas.actions import schedules
from ucam_faas.actions.schedules import LOCAL, Schedule, Schedules
from ucam_faas.cli import _local_cloud
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._table import print_table
from ucam_faas.config import Settings


@click.group("schedules", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--project", help="Project of the schedules. [GOOGLE_CLOUD_PROJECT]")
@click.option("--location", help=f"Location of the schedules. [default, of a local cloud: {LOCAL}]")
@click.option("--google", is_flag=True, help="Those of Google's Cloud Scheduler.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, json_only: bool, **where: Any) -> None:
    """List the schedules of the `ucam-faas dev` that runs in this directory, and their next runs.

    If PUBSUB_EMULATOR_HOST is set, list the schedules of that emulator; with --google, those of
    Google's Cloud Scheduler in --project and --location.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = where  # `--help` needs no local cloud
    elif json_only:
        print_json([schedule.as_json() for schedule in _find(**where).list()])
    else:
        _list(_find(**where).list())


@command.command()
@click.argument("name")
@click.pass_obj
@json_option
def run(where: dict[str, Any], name: str, *, json_only: bool) -> None:
    """Run the schedule NAME now."""
    schedule = _find(**where).run(name)
    if json_only:
        print_json(schedule.as_json())
    else:
        click.echo(f"{name} was run.")


@command.command()
@click.argument("name")
@click.pass_obj
@json_option
def pause(where: dict[str, Any], name: str, *, json_only: bool) -> None:
    """Pause the schedule NAME."""
    schedule = _find(**where).pause(name)
    if json_only:
        print_json(schedule.as_json())
    else:
        click.echo(f"{name} is paused.")


@command.command()
@click.argument("name")
@click.pass_obj
@json_option
def resume(where: dict[str, Any], name: str, *, json_only: bool) -> None:
    """Resume the schedule NAME."""
    schedule = _find(**where).resume(name)
    if json_only:
        print_json(schedule.as_json())
    else:
        click.echo(f"{name} runs next: {_local(schedule.next_run)}")


def _find(*, project: str | None, location: str | None, google: bool) -> Schedules:
    cloud = _local_cloud.find()
    return schedules.find(
        Settings.from_environ(os.environ, project=project),
        project,
        cloud,
        location=location,
        google=google,
        elsewhere=_local_cloud.elsewhere,
    )


def _list(rows: list[Schedule]) -> None:
    if not rows:
        click.echo("There are no schedules.")
        return
    texts = [
        (
            schedule.name,
            schedule.expression,
            schedule.time_zone,
            "paused" if schedule.paused else _local(schedule.next_run),
            _local(schedule.last_run),
        )
        for schedule in rows
    ]
    print_table(("SCHEDULE", "CRON", "TIME ZONE", "NEXT RUN", "LAST RUN"), texts)


def _local(time: float | None) -> str:
    """Return an instant in this machine's time zone."""
    if time is None:
        return ""
    return datetime.fromtimestamp(time).astimezone().strftime("%a %d %b %Y %H:%M %Z")
