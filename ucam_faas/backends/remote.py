"""The backends of a job store and a Pub/Sub that aren't of a `ucam-faas dev` here.

Both hold other people's data: payloads are hidden until a person asks for one, which is logged, and
nothing can be changed unless the command line says so.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ucam_faas.actions import publishing, pubsub, schedules
from ucam_faas.actions.jobs import Jobs
from ucam_faas.backends.ports import Backends, KnownTask, no_tasks
from ucam_faas.config import Settings
from ucam_faas.dead_letters.opening import open_workbench
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime

RENEW_SECONDS = 30.0
"""Between two fetches of an open page: each reads from a store that costs money or time."""

logger = logging.getLogger("ucam_faas")


def connect(
    settings: Settings,
    *,
    google: bool = False,
    project: str | None = None,
    location: str | None = None,
    allow_writes: bool = False,
    folder: Path,
    parser: Parser | None = None,
) -> Backends:
    """Return the backends.

    Args:
        settings: name the store, and an emulator.
        google: Google's Pub/Sub is asked for dead letters, and takes messages.
        project: of its topics and schedules.
        location: of its schedules; None: they aren't shown.
        allow_writes: actions are possible.
        folder: for the book of dead letters.
        parser: of the tasks' code, which is imported now, in the parser's process; None: the tasks
            aren't known.

    Raises:
        ConfigurationError: there is neither a store nor a Pub/Sub.
        ParserError: the code can't be loaded.
    """
    project = project or settings.project
    here = _runtime(settings)
    store = here.jobs()
    jobs = None if store is None else Jobs(here, store)
    has_pubsub = google or bool(settings.pubsub_emulator)
    if jobs is None and not has_pubsub:
        raise ConfigurationError(
            "There is nothing to show: no `ucam-faas dev` has run in this directory or above it, "
            "UCAM_FAAS_JOB_STORE isn't set, and --google wasn't given."
        )
    workbench = publisher = scheduler = None
    if has_pubsub:
        place = pubsub.find(
            settings, project, None, google=google, purpose="read dead letters from"
        )
        workbench = open_workbench(place, jobs, folder)
        publisher = publishing.find(settings, project, None, google=google)
    if google and location:
        scheduler = schedules.find(settings, project, None, location=location, google=True)
    tasks = [] if parser is None else [KnownTask.from_json(entry) for entry in parser.tasks()]
    names = (project or "", settings.app if jobs else "")
    return Backends(
        place=", ".join(dict.fromkeys(filter(None, names))),
        jobs=jobs,
        workbench=workbench,
        publisher=publisher,
        schedules=scheduler,
        tasks=no_tasks if parser is None else lambda: tasks,
        parser=parser,
        read_only=not allow_writes,
        hides_payloads=True,
        renew_seconds=RENEW_SECONDS,
        log=log,
    )


def _runtime(settings: Settings) -> Runtime:
    return Runtime(settings, runtime.of_environment().clock, connect=runtime.publisher_of)


def log(who: str, action: str, about: str) -> None:
    """Log an action of a person."""
    fields = {"person": who, "action": action, "about": about}
    logger.info("ucam_faas_dashboard_action", extra={"fields": fields})
