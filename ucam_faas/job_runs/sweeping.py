"""One pass of the sweep over the jobs of an application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs import events
from ucam_faas.jobs.rows import Key, Wake
from ucam_faas.jobs.sweep import sweep


def sweep_jobs(
    runtime: Runtime,
    *,
    wake: Callable[[Sequence[Wake]], object] | None = None,
    on_expired: Callable[[Key], object] = bool,
) -> int:
    """Do one pass of the sweep, and return how many jobs it looked at.

    Args:
        runtime: names the store, the application and the Pub/Sub.
        wake: publishes wakes; None: as they are published elsewhere.
        on_expired: gets each job that has expired.

    Raises:
        NoJobStoreError: there is no store.
        JobStoreError: it doesn't answer.
    """
    store = runtime.jobs_for("no job can be swept")
    publish = events.publisher(runtime)
    wake = wake or partial(inbox.wake, runtime)
    return sweep(store, runtime.settings.app, wake, on_expired, publish)
