"""`ucam-faas schedules`: list schedules and their next runs; run, pause and resume them."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Any

import click

from ucam_faas.actions import schedules
from ucam_faas.actions.schedules import LOCAL, Schedule, Schedules
from ucam_faas.cli import _local_cloud, _waiting
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option, print_json, remember
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
    """Run the schedule NAME now.

    With `ucam-faas dev`, wait until its task has ended. The exit code is 1 if it failed.
    """
    place = _find(**where)
    schedule = place.run(name)
    delivery = None if where["google"] else _waiting.delivery_of(place.name, name)
    if delivery is None:
        how: dict[str, Any] = {"task": None, "message_id": None, "handled": None, "steps": []}
        if not json_only:
            say(f"{name} was run. {place.name} doesn't tell how its task ended.")
    else:
        how = _follow(place.name, schedule, *delivery, quiet=json_only)
    if json_only:
        print_json(schedule.as_json() | how)
    sys.exit(how["handled"] is False)


def _follow(
    host: str, schedule: Schedule, task: str, message_id: str | None, *, quiet: bool
) -> dict[str, Any]:
    """Wait for the first attempt of a run, and return fields that say how it ended."""
    if message_id is None:
        raise schedules.ScheduleRequestError(
            f"{schedule.name} was run, and published no message: is there a topic "
            f"{schedule.target}?"
        )
    done = {"task": task, "message_id": message_id}
    remember(**done)
    if not quiet:
        say(f"{schedule.name} was run: it published message {message_id} for {task}.")
    steps = _waiting.wait(host, task, message_id, quiet=quiet, attempts=1)
    return {**done, "handled": _waiting.is_handled(steps), "steps": steps}


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
