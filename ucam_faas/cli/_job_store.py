"""The job store that verbs work with: the environment's, or that of a `ucam-faas dev`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.cli import _local_cloud
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, JobNotFoundError
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores import JobStore
from ucam_faas.sending.sender import sender


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of an application.

    Args:
        runtime: knows the store, and the Pub/Sub for wakes.
        store: keeps the jobs.
    """

    runtime: Runtime
    store: JobStore

    @property
    def app(self) -> str:
        """The name of the application."""
        return self.runtime.settings.app

    @property
    def name(self) -> str:
        """The store for people, without a password."""
        return shown(self.runtime.settings)

    def job(self, key: Key) -> Job[Any]:
        """Return the handle of a job."""
        return Job(key, self.store, partial(inbox.wake, self.runtime))

    def row(self, id: str, task: str | None) -> Row:
        """Return the row of the one job with an id.

        Args:
            id: the job's.
            task: the name of its task, where jobs of several tasks have the id.

        Raises:
            JobNotFoundError: there is none.
            ConfigurationError: jobs of several tasks have the id.
        """
        rows = self.store.find(self.app, task=task, id=id)
        if not rows:
            of_task = f" of {task!r}" if task else ""
            raise JobNotFoundError(
                f"There is no job {id!r}{of_task} in {self.name} (application {self.app!r}). It "
                "may have been removed after its retention; `ucam-faas jobs` lists the others."
            )
        if len(rows) > 1:
            tasks = ", ".join(row.key.task for row in rows)
            raise ConfigurationError(
                f"Jobs of several tasks have the id {id!r}: {tasks}. Choose one with --task."
            )
        return rows[0]


def find(source: str | None = None) -> Jobs:
    """Return the jobs that a verb works with.

    Args:
        source: of the tasks, as the command line has it.

    Raises:
        ConfigurationError: there is no job store.
    """
    _local_cloud.find(source)
    runtime = sender()
    store = runtime.jobs()
    if store is None:
        raise ConfigurationError(
            "There is no job store: start `ucam-faas dev` in this directory, or set "
            f"UCAM_FAAS_JOB_STORE, such as sqlite:jobs.db.{_local_cloud.elsewhere()}"
        )
    return Jobs(runtime, store)


def shown(settings: Settings) -> str:
    """Return the store that settings name, without user and password."""
    text = settings.job_store or ""
    if "@" not in text:
        return text
    url = urlsplit(text)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
