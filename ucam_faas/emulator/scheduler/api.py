"""Cloud Scheduler's RPC methods: request message in, response message out, over a `Scheduler`.

The messages are the raw protobuf ones (`scheduler_v1.Job.pb()`). Limits and codes are those of
Google's pages "CloudScheduler" (RPC), "Job" and "Quotas and limits". Not safe for threads, as
`Scheduler` is not.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.pages import page
from ucam_faas.emulator.errors import invalid
from ucam_faas.emulator.scheduler import messages
from ucam_faas.emulator.scheduler.engine import Scheduler
from ucam_faas.emulator.scheduler.jobs import Firing, Job
from ucam_faas.emulator.targets.names import LOCATION, check_name, snake
from ucam_faas.gcp.cron import ScheduleError

MAX_PAGE = 500

_JOB = re.compile(LOCATION.pattern + r"/jobs/[A-Za-z0-9_-]{1,500}")
_FORM = "projects/P/locations/L/jobs/ID, with an ID of 1 to 500 letters, numbers, - and _"


class SchedulerApi:
    """The methods of `google.cloud.scheduler.v1.CloudScheduler`.

    Each raises RpcError with the documented code.

    Args:
        scheduler: holds the jobs.
        now: epoch seconds.
        fire: makes an attempt that a user forces, without waiting for its end.
    """

    def __init__(
        self, scheduler: Scheduler, now: Callable[[], float], fire: Callable[[Firing], None]
    ) -> None:
        self._scheduler = scheduler
        self._now = now
        self._fire = fire

    def create_job(self, request: Any) -> Any:
        """Create a job; one without a name gets one."""
        check_name(request.parent, LOCATION, "parent")
        wanted = messages.with_doublings(request.job)
        wanted.name = wanted.name or f"{request.parent}/jobs/{uuid.uuid4()}"
        _check_job(wanted.name, "job.name")
        if not wanted.name.startswith(f"{request.parent}/jobs/"):
            raise invalid(f"Invalid job.name {wanted.name!r}: expected a job in {request.parent}.")
        return self._written(self._scheduler.create, wanted)

    def get_job(self, request: Any) -> Any:
        """Return a job."""
        return messages.write(self._scheduler.get(_check_job(request.name)))

    def list_jobs(self, request: Any) -> Any:
        """Return a page of a location's jobs, by name."""
        check_name(request.parent, LOCATION, "parent")
        jobs = {job.name: job for job in self._scheduler.list(f"{request.parent}/jobs/")}
        names, token = page(request, jobs, longest=MAX_PAGE)
        response = messages.pb("ListJobsResponse")(next_page_token=token)
        response.jobs.extend(messages.write(jobs[name]) for name in names)
        return response

    def update_job(self, request: Any) -> Any:
        """Change the fields that the mask names; without a mask, those that the request fills."""
        merged = messages.write(self._scheduler.get(_check_job(request.job.name, "job.name")))
        paths = [snake(path) for path in request.update_mask.paths]
        if paths == ["*"]:
            paths = [field.name for field in merged.DESCRIPTOR.fields]
        paths = paths or [field.name for field, _ in request.job.ListFields()]
        for path in paths:
            if not protos.FieldMask(paths=[path]).IsValidForDescriptor(merged.DESCRIPTOR):
                raise invalid(f"Invalid update_mask: there is no field {path!r}.")
        wanted = messages.with_doublings(request.job) if "retry_config" in paths else request.job
        # Output only fields are merged too, and then ignored, as documented.
        protos.FieldMask(paths=paths).MergeMessage(wanted, merged, True, True)
        return self._written(self._scheduler.update, merged)

    def delete_job(self, request: Any) -> Any:
        """Delete a job."""
        self._scheduler.delete(_check_job(request.name))
        return protos.Empty()

    def pause_job(self, request: Any) -> Any:
        """Pause an enabled job."""
        return messages.write(self._scheduler.pause(_check_job(request.name), self._now()))

    def resume_job(self, request: Any) -> Any:
        """Resume a paused job."""
        return messages.write(self._scheduler.resume(_check_job(request.name), self._now()))

    def run_job(self, request: Any) -> Any:
        """Run a job now, also a paused one."""
        firing = self._scheduler.run(_check_job(request.name), self._now())
        self._fire(firing)
        return messages.write(firing.job)

    def _written(self, write: Callable[[Job, float], Job], message: Any) -> Any:
        try:
            return messages.write(write(messages.read(message), self._now()))
        except ScheduleError as error:
            raise invalid(f"Invalid job: {error}") from error


def methods() -> protos.Methods:
    """Return the methods of `google.cloud.scheduler.v1.CloudScheduler`."""
    job, jobs = messages.pb("Job"), messages.pb("ListJobsResponse")
    answers = {"CreateJob": job, "GetJob": job, "ListJobs": jobs, "UpdateJob": job}
    answers |= {"DeleteJob": protos.Empty, "PauseJob": job, "ResumeJob": job, "RunJob": job}
    return {name: (messages.pb(f"{name}Request"), answer) for name, answer in answers.items()}


def _check_job(name: str, field: str = "name") -> str:
    return check_name(name, _JOB, field, _FORM)
