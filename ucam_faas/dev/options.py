"""The options of `ucam-faas dev`, and the environment that the tasks get from them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ucam_faas.dev.env_file import EnvFile
from ucam_faas.history.database import FILE
from ucam_faas.local_state import FOLDER, JOBS

QUEUE = "1000"
"""No delivery is refused: here, no other instance would take it."""
HISTORY_DAYS, HISTORY_MB = 7, 500
CERTIFICATES_PATH = "/oauth2/v1/certs"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """The options of `ucam-faas dev`.

    Args:
        sources: files, folders and modules of the tasks.
        target: names of the tasks to serve; None: all.
        host: address of the tasks and of Pub/Sub.
        port: of the tasks.
        pubsub_port: of Pub/Sub and the scheduler.
        project: of the topics.
        external: `host:port` of the Pub/Sub to use instead of the embedded one; nothing between
            the quotes: Google's; None: the embedded one.
        state: folder to keep messages and schedules in; None: memory.
        history_days: days that the history keeps.
        history_mb: megabytes of the history's file, at most, about.
        reset: start empty.
        dashboard: serve one.
        dashboard_port: its port; None: the first free one of the usual ones, else any.
        env_file: is read again each time that the code is loaded.
    """

    sources: tuple[str, ...]
    target: str | None
    host: str
    port: int
    pubsub_port: int
    project: str
    external: str | None
    state: Path | None
    reset: bool
    dashboard: bool = False
    dashboard_port: int | None = None
    env_file: EnvFile
    history_days: float = HISTORY_DAYS
    history_mb: float = HISTORY_MB

    @property
    def history(self) -> Path | None:
        """The file of the history; None: none is kept."""
        if self.state is None or self.history_days <= 0 or self.history_mb <= 0:
            return None
        return self.state / FILE

    @property
    def job_store(self) -> str:
        """The store of jobs, as UCAM_FAAS_JOB_STORE has it."""
        store = os.environ.get("UCAM_FAAS_JOB_STORE")
        if not store:
            return f"sqlite:{Path.cwd() / FOLDER / self.jobs_file}"
        kind, _, path = store.partition(":")
        return f"sqlite:{Path(path).absolute()}" if kind == "sqlite" and path else store

    @property
    def jobs_file(self) -> str:
        """The name of the file of jobs; without a state, it lasts as long as this process."""
        return JOBS if self.state is not None else f"jobs-{os.getpid()}.db"


def environment_of(options: DevOptions, pubsub: str, dashboard: str = "") -> dict[str, str]:
    """Return the environment of the process that serves the tasks.

    Args:
        options: of the command line.
        pubsub: `host:port` of the embedded Pub/Sub.
        dashboard: its URL; none: there is none.
    """
    used = pubsub if options.external is None else options.external
    environ = {
        "UCAM_FAAS_LOG_FORMAT": "console",
        "UCAM_FAAS_LOG_EXCEPTION_TEXT": "true",
        "UCAM_FAAS_QUEUE": QUEUE,
        "UCAM_FAAS_PUSH_CERTS_URL": f"http://{pubsub}{CERTIFICATES_PATH}",
        **os.environ,
        "PUBSUB_EMULATOR_HOST": used,
        "UCAM_FAAS_JOB_STORE": options.job_store,
        "UCAM_FAAS_DASHBOARD": dashboard,
        "UCAM_FAAS_DELAY_QUEUE": "",  # its sweep wakes jobs in time
        "UCAM_FAAS_NAME_PREFIX": "",  # there is one stage
        "GOOGLE_CLOUD_PROJECT": options.project,
        "PYTHONUNBUFFERED": "1",
    }
    if not used:
        del environ["PUBSUB_EMULATOR_HOST"]
    return environ


def reachable(host: str) -> str:
    """Return the host under which this machine reaches an address that it listens on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
