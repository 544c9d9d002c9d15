"""The sweep of `ucam-faas dev`: a timer, where the cloud has a schedule."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import JobError
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.job_runs.sweeping import sweep_jobs
from ucam_faas.jobs.rows import Key
from ucam_faas.logs.problems import log_problem

PAUSE_SECONDS = 0.25
"""Between two sweeps: delays are exact to a second."""


@contextmanager
def sweeping(settings: Settings, on_expired: Callable[[Key], object]) -> Iterator[None]:
    """Sweep the jobs in a thread.

    Args:
        settings: name the store and the Pub/Sub.
        on_expired: gets the jobs that the sweep ends.
    """
    runtime = Runtime(settings, SystemClock(), connect=publisher_of)
    stopped = threading.Event()

    def work() -> None:
        fails = False
        while not stopped.wait(PAUSE_SECONDS):
            try:
                sweep_jobs(runtime, on_expired=on_expired)
                fails = False
            except JobError as error:
                if not fails:  # one traceback for each outage, not four a second
                    log_problem("ucam_faas_sweep_failed", error=error)
                fails = True

    thread = threading.Thread(target=work, name="ucam-faas-sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
