"""`ucam-faas schedules`: the schedules of a local cloud: when they run next; run, pause, resume."""

from __future__ import annotations

import json
import os
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ucam_faas import local_state
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException

DEFAULT_LOCATION = "local"
SECONDS = 10.0


class ScheduleRequestError(UCAMFAASException):
    """The scheduler did not do what it was asked to."""


@click.group("schedules", invoke_without_command=True)
@click.option("--project", help="Project of the schedules. [GOOGLE_CLOUD_PROJECT]")
@click.option("--location", default=DEFAULT_LOCATION, show_default=True)
@click.pass_context
def command(ctx: click.Context, project: str | None, location: str) -> None:
    """List the schedules of the `ucam-faas dev` that runs in this directory, and their next runs.

    Or those of the emulator that PUBSUB_EMULATOR_HOST names.
    """
    ctx.obj = _Jobs(project, location)
    if ctx.invoked_subcommand is None:
        _list(ctx.obj.list())


@command.command()
@click.argument("name")
@click.pass_obj
def run(jobs: _Jobs, name: str) -> None:
    """Run the schedule NAME now."""
    jobs.act(name, "run")
    click.echo(f"{name} was run.")


@command.command()
@click.argument("name")
@click.pass_obj
def pause(jobs: _Jobs, name: str) -> None:
    """Do not run the schedule NAME until it is resumed."""
    jobs.act(name, "pause")
    click.echo(f"{name} is paused.")


@command.command()
@click.argument("name")
@click.pass_obj
def resume(jobs: _Jobs, name: str) -> None:
    """Run the schedule NAME at its times again."""
    found = jobs.act(name, "resume")
    click.echo(f"{name} runs next: {_local(found.get('scheduleTime'))}")


def _list(jobs: list[dict[str, Any]]) -> None:
    if not jobs:
        click.echo("There are no schedules.")
        return
    rows = [("SCHEDULE", "CRON", "TIME ZONE", "NEXT RUN", "LAST RUN")]
    for job in jobs:
        paused = job.get("state") == "PAUSED"
        rows.append(
            (
                job["name"].rpartition("/")[2],
                job.get("schedule", ""),
                job.get("timeZone", ""),
                "paused" if paused else _local(job.get("scheduleTime")),
                _local(job.get("lastAttemptTime")),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _local(time: str | None) -> str:
    """Return an instant in this machine's time zone."""
    if not time:
        return ""
    return datetime.fromisoformat(time).astimezone().strftime("%a %d %b %Y %H:%M:%S %Z")


class _Jobs:
    """The scheduler's REST API."""

    def __init__(self, project: str | None, location: str) -> None:
        cloud = local_state.read(Path.cwd())
        host = (cloud and cloud.scheduler) or os.environ.get("PUBSUB_EMULATOR_HOST")
        if not host:
            raise ConfigurationError(
                "There is no local cloud: run `ucam-faas dev` in this directory, or set "
                "PUBSUB_EMULATOR_HOST to the address of an emulator."
            )
        project = project or (cloud and cloud.project) or os.environ.get("GOOGLE_CLOUD_PROJECT")
        self._host = host
        self._parent = f"projects/{project or 'local'}/locations/{location}/jobs"

    def list(self) -> list[dict[str, Any]]:
        """Return all jobs."""
        jobs: list[dict[str, Any]] = self._call("GET", "").get("jobs", [])
        return jobs

    def act(self, name: str, verb: str) -> dict[str, Any]:
        """Do something to a job, and return it."""
        return self._call("POST", f"/{quote(name, safe='')}:{verb}")

    def _call(self, method: str, path: str) -> dict[str, Any]:
        connection = HTTPConnection(self._host, timeout=SECONDS)
        try:
            body = b"{}" if method == "POST" else None
            connection.request(method, f"/v1/{quote(self._parent)}{path}", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ScheduleRequestError(
                f"{self._host} does not answer ({type(error).__name__}). Does `ucam-faas dev` run?"
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            names = [job["name"].rpartition("/")[2] for job in self.list()] if path else []
            hint = f" There are: {', '.join(names)}." if names else ""
            raise ScheduleRequestError(f"{answer['error']['message']}{hint}")
        found: dict[str, Any] = answer
        return found
