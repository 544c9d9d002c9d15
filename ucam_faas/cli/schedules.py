"""`ucam-faas schedules`: the schedules of a local cloud: when they run next; run, pause, resume."""

from __future__ import annotations

import json
import os
from datetime import datetime
from difflib import get_close_matches
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, unquote

import click

from ucam_faas.cli import _local_cloud
from ucam_faas.cli._group import SuggestingGroup
from ucam_faas.cli._table import print_table
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException

DEFAULT_LOCATION = "local"
SECONDS = 10.0


class ScheduleRequestError(UCAMFAASException):
    """The scheduler refused a request, or did not answer."""


@click.group("schedules", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--project", help="Project of the schedules. [GOOGLE_CLOUD_PROJECT]")
@click.option(
    "--location", default=DEFAULT_LOCATION, show_default=True, help="Location of the schedules."
)
@click.pass_context
def command(ctx: click.Context, project: str | None, location: str) -> None:
    """List the schedules of the `ucam-faas dev` that runs in this directory, and their next runs.

    If PUBSUB_EMULATOR_HOST is set, list the schedules of that emulator.
    """
    if ctx.invoked_subcommand is None:
        _list(_Jobs(project, location).list())
    else:
        ctx.obj = (project, location)  # `--help` needs no local cloud


@command.command()
@click.argument("name")
@click.pass_obj
def run(where: tuple[str | None, str], name: str) -> None:
    """Run the schedule NAME now."""
    _Jobs(*where).act(name, "run")
    click.echo(f"{name} was run.")


@command.command()
@click.argument("name")
@click.pass_obj
def pause(where: tuple[str | None, str], name: str) -> None:
    """Pause the schedule NAME."""
    _Jobs(*where).act(name, "pause")
    click.echo(f"{name} is paused.")


@command.command()
@click.argument("name")
@click.pass_obj
def resume(where: tuple[str | None, str], name: str) -> None:
    """Resume the schedule NAME."""
    job = _Jobs(*where).act(name, "resume")
    click.echo(f"{name} runs next: {_local(job.get('scheduleTime'))}")


def _list(jobs: list[dict[str, Any]]) -> None:
    if not jobs:
        click.echo("There are no schedules.")
        return
    rows = []
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
    print_table(("SCHEDULE", "CRON", "TIME ZONE", "NEXT RUN", "LAST RUN"), rows)


def _local(time: str | None) -> str:
    """Return an instant in this machine's time zone."""
    if not time:
        return ""
    return datetime.fromisoformat(time).astimezone().strftime("%a %d %b %Y %H:%M %Z")


def _hint(path: str, names: list[str]) -> str:
    """Return the names that a schedule can have, the closest one first."""
    if not names:
        return ""
    name = unquote(path.removeprefix("/").rpartition(":")[0])
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} There are: {', '.join(names)}."


class _Jobs:
    """The scheduler's REST API."""

    def __init__(self, project: str | None, location: str) -> None:
        cloud = _local_cloud.find()
        host = os.environ.get("PUBSUB_EMULATOR_HOST")
        if cloud is not None and host in (None, "", cloud.pubsub):
            host, project = cloud.scheduler or cloud.pubsub, project or cloud.project
        if not host:
            raise ConfigurationError(
                "There is no local cloud: run `ucam-faas dev` in this directory, or set "
                f"PUBSUB_EMULATOR_HOST to the address of an emulator.{_local_cloud.elsewhere()}"
            )
        project = project or os.environ.get("GOOGLE_CLOUD_PROJECT") or "local"
        self._host = host
        self._parent = f"projects/{project}/locations/{location}/jobs"

    def list(self) -> list[dict[str, Any]]:
        """Return all jobs."""
        page = self._call("GET", "")
        jobs: list[dict[str, Any]] = page.get("jobs", [])
        while token := page.get("nextPageToken"):
            page = self._call("GET", f"?pageToken={quote(token)}")
            jobs += page.get("jobs", [])
        return jobs

    def act(self, name: str, verb: str) -> dict[str, Any]:
        """Call a method of a job, such as `run`, and return the job."""
        return self._call("POST", f"/{quote(name, safe='')}:{verb}")

    def _call(self, method: str, path: str) -> dict[str, Any]:
        connection = HTTPConnection(self._host, timeout=SECONDS)
        try:
            body = b"{}" if method == "POST" else None
            connection.request(method, f"/v1/{quote(self._parent)}{path}", body)
            response = connection.getresponse()
            answer = dict(json.loads(response.read()))
            refusal = None if response.status == 200 else str(answer["error"]["message"])
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            raise ScheduleRequestError(
                f"{self._host} does not answer as a scheduler does ({type(error).__name__}). Does "
                "`ucam-faas dev` run?"
            ) from error
        finally:
            connection.close()
        if refusal is not None:
            names = [job["name"].rpartition("/")[2] for job in self.list()] if body else []
            raise ScheduleRequestError(f"{refusal}{_hint(path, names)}")
        return answer
