"""The sweep as a task, which a schedule starts each minute in the cloud.

`ucam-faas plan` adds it to the tasks of an application with a job store. `serving.sweep` is its
source: the container of a collection serves it in place of the collection's tasks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from ucam_faas.decorators import message_handler
from ucam_faas.execution.runtime import current
from ucam_faas.job_runs.sweeping import sweep_jobs
from ucam_faas.task_types import PlainTask
from ucam_faas.tasks.policies import RetryPolicy

SOURCE = "ucam_faas.serving.sweep"
_LONGEST_APP = 43
"""A service of Cloud Run has a name of 49 characters at most."""


def sweep_name(app: str) -> str:
    """Return the name of the task that sweeps an application's jobs.

    >>> sweep_name("My.shop"), sweep_name("24h")
    ('My-shop-sweep', 'app-24h-sweep')
    """
    name = re.sub("[^A-Za-z0-9]+", "-", app).strip("-")
    name = name if name[:1].isalpha() else f"app-{name}"
    return f"{name[:_LONGEST_APP].rstrip('-')}-sweep"


def sweep_task(app: str, wakes: Sequence[str] = ()) -> PlainTask[int]:
    """Return the task that sweeps an application's jobs.

    A message has no dead letters, because the next minute brings another.

    Args:
        app: the application.
        wakes: the names of the tasks that get jobs.
    """

    @message_handler(
        name=sweep_name(app),
        schedule="* * * * *",
        sends=wakes,
        environment={"FUNCTION_SOURCE": SOURCE},
        retry=RetryPolicy(max_attempts=None),
        timeout=timedelta(minutes=10),
        concurrency=1,
        memory="512Mi",
        cpu=1,
        min_instances=0,
        max_instances=1,
    )
    def task() -> int:
        """Wake jobs that are due, and end or remove those whose time has passed."""
        return sweep_jobs(current())

    return task
