"""`ucam-faas sweep`: one pass of the sweep, as the cloud's schedule starts it each minute."""

from __future__ import annotations

import click

from ucam_faas.cli import _job_store
from ucam_faas.cli._group import Verb
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.job_runs.sweeping import sweep_jobs


@click.command("sweep", cls=Verb)
@json_option
def command(*, json_only: bool) -> None:
    """Do one pass of the sweep.

    It wakes jobs whose time has come or whose process was lost, ends those whose --ttl has passed,
    publishes events that are due, and removes the jobs whose retention has ended. Repeating it is
    harmless. `ucam-faas dev` does it by itself.
    """
    jobs = _job_store.find()
    count = sweep_jobs(jobs.runtime)
    if json_only:
        print_json({"jobs": count})
    else:
        say(f"Swept {count} job{'s' * (count != 1)} of {jobs.name}.")
