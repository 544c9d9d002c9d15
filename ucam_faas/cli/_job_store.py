"""The job store that verbs work with: the environment's, or that of a `ucam-faas dev`."""

from __future__ import annotations

from ucam_faas.actions.jobs import Jobs
from ucam_faas.cli import _local_cloud
from ucam_faas.exceptions import NoLocalCloudError
from ucam_faas.sending.sender import sender


def find(source: str | None = None) -> Jobs:
    """Return the jobs that a verb works with.

    Args:
        source: of the tasks, as the command line has it.

    Raises:
        NoLocalCloudError: there is no job store.
    """
    _local_cloud.find(source)
    runtime = sender()
    store = runtime.jobs()
    if store is None:
        raise NoLocalCloudError(
            "There is no job store: start `ucam-faas dev` in this directory, or set "
            f"UCAM_FAAS_JOB_STORE, such as sqlite:jobs.db.{_local_cloud.elsewhere()}"
        )
    return Jobs(runtime, store)
