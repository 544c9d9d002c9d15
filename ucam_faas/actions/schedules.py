"""The schedules of a project: when they run next; run, pause and resume them.

A client of Cloud Scheduler's REST API (Google's page "REST Resource: projects.locations.jobs"),
for a local cloud's and Google's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, NoLocalCloudError, UCAMFAASException
from ucam_faas.local_state import LocalCloud
from ucam_faas.logs.times import utc_text
from ucam_faas.net.rest import FAILURES, Api, CredentialsError, Rest

HOST = "cloudscheduler.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOCAL = "local"
"""The location and the project of the schedules of `ucam-faas dev`."""
SECONDS = 10.0


class ScheduleRequestError(UCAMFAASException):
    """The scheduler refused a request, or did not answer."""

    error_code = "scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A job of Cloud Scheduler. Times are epoch seconds.

    Args:
        name: its last part, such as `clean_up`.
        expression: in cron's language.
        time_zone: of the expression.
        target: the topic's full name, or the URL.
        paused: it doesn't run by itself.
        next_run: None: none is planned.
        last_run: None: it hasn't run yet.
    """

    name: str
    expression: str
    time_zone: str
    target: str
    paused: bool
    next_run: float | None
    last_run: float | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {
            "next_run": utc_text(self.next_run),
            "last_run": utc_text(self.last_run),
        }


class Schedules:
    """The schedules of a project and a location.

    Args:
        api: makes the requests.
        project: of the schedules.
        location: of the schedules.
    """

    def __init__(self, api: Api, project: str, location: str) -> None:
        self._api = api
        self._parent = f"projects/{project}/locations/{location}/jobs"

    @property
    def name(self) -> str:
        """The scheduler for people."""
        return self._api.host

    def list(self) -> list[Schedule]:
        """Return all schedules.

        Raises:
            ScheduleRequestError: the scheduler refuses, or doesn't answer.
        """
        page = self._call("")
        jobs = list(page.get("jobs", []))
        while token := page.get("nextPageToken"):
            page = self._call(f"?pageToken={quote(token)}")
            jobs += page.get("jobs", [])
        return [_schedule(job) for job in jobs]

    def run(self, name: str) -> Schedule:
        """Run a schedule now, and return it; errors as of `list`."""
        return self._act(name, "run")

    def pause(self, name: str) -> Schedule:
        """Pause a schedule, and return it; errors as of `list`."""
        return self._act(name, "pause")

    def resume(self, name: str) -> Schedule:
        """Resume a schedule, and return it; errors as of `list`."""
        return self._act(name, "resume")

    def _act(self, name: str, verb: str) -> Schedule:
        try:
            return _schedule(self._call(f"/{quote(name, safe='')}:{verb}", b"{}"))
        except _RefusedError as error:
            names = [schedule.name for schedule in self.list()]
            kind = ScheduleRequestError if name in names else NoScheduleError
            raise kind(f"{error}{_hint(name, names)}") from error

    def _call(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        path = f"/v1/{quote(self._parent)}{path}"
        try:
            if body is None:
                status, content = self._api.get(path, SECONDS)
            else:
                status, content = self._api.post(path, body, SECONDS)
            answer = dict(json.loads(content))
            refusal = None if status == 200 else str(answer["error"]["message"])
        except CredentialsError as error:
            raise ScheduleRequestError(f"The schedules can't be read: {error}") from error
        except (*FAILURES, LookupError, TypeError) as error:
            raise ScheduleRequestError(
                f"{self._api.host} does not answer as a scheduler does ({type(error).__name__}). "
                "Does `ucam-faas dev` run?"
            ) from error
        if refusal is not None:
            raise _RefusedError(refusal)
        return answer


class NoScheduleError(ScheduleRequestError):
    """There is no such schedule."""

    error_code = "schedule-unknown"


class _RefusedError(ScheduleRequestError):
    """The scheduler answered with an error."""


def find(
    settings: Settings,
    project: str | None,
    cloud: LocalCloud | None,
    *,
    location: str | None = None,
    google: bool = False,
    elsewhere: Callable[[], str] = str,
) -> Schedules:
    """Return the schedules of a local cloud, an emulator or Google.

    Args:
        settings: name an emulator, and the project.
        project: that was asked for.
        cloud: the `ucam-faas dev` of this directory.
        location: of the schedules; Google's have to have one.
        google: take Google's in any case.
        elsewhere: returns another sentence for the error, about a local cloud of another folder.

    Raises:
        ConfigurationError: there is no scheduler, or its project or location isn't known.
    """
    if google:
        project = project or settings.project
        if not project or not location:
            raise ConfigurationError("Google's schedules need --project and --location.")
        return Schedules(_google(), project, location)
    host = settings.pubsub_emulator
    if cloud is not None and host in (None, cloud.pubsub):
        host, project = cloud.scheduler or cloud.pubsub, project or cloud.project
    if not host:
        raise NoLocalCloudError(
            "There is no local cloud: run `ucam-faas dev` in this directory, or set "
            f"PUBSUB_EMULATOR_HOST to the address of an emulator.{elsewhere()}"
        )
    return Schedules(Rest(host), project or settings.project or LOCAL, location or LOCAL)


def _google() -> Api:
    from ucam_faas.net.google_rest import GoogleRest

    return GoogleRest(
        f"https://{HOST}", SCOPE, extra="pubsub", purpose="read and run Google's schedules"
    )


def _schedule(job: Mapping[str, Any]) -> Schedule:
    target = job.get("pubsubTarget", {}).get("topicName") or job.get("httpTarget", {}).get("uri")
    return Schedule(
        name=job["name"].rpartition("/")[2],
        expression=job.get("schedule", ""),
        time_zone=job.get("timeZone", ""),
        target=target or "",
        paused=job.get("state") == "PAUSED",
        next_run=_seconds(job.get("scheduleTime")),
        last_run=_seconds(job.get("lastAttemptTime")),
    )


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None


def _hint(name: str, names: list[str]) -> str:
    """Return the names that a schedule can have, the closest one first."""
    if not names:
        return " There are no schedules."
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} There are: {', '.join(names)}."
