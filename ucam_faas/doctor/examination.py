"""The parts of an examination, in order: what is cheap and often at fault comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

from ucam_faas import local_state
from ucam_faas.doctor import credentials, jobs, packages, ports, pubsub, state, tasks, variables
from ucam_faas.doctor.findings import Finding
from ucam_faas.doctor.surroundings import Surroundings


def examine(
    folder: Path,
    environ: MutableMapping[str, str],
    *,
    source: str | None = None,
    google: bool = False,
    project: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Finding]:
    """Look at all parts, and yield each finding when it is known.

    Args:
        folder: of the tasks.
        environ: of this process; it gets the variables of `.env`.
        source: of the tasks; None: as other commands find it.
        google: look at Google's Pub/Sub, even if a local one is used.
        project: of Pub/Sub; None: the environment names it.
        tell: gets the name of a part that may take seconds, before it is looked at.
    """
    settings, findings = variables.read(folder, environ, project)
    around = Surroundings(
        folder=folder,
        environ=environ,
        settings=settings,
        cloud=local_state.running(folder),
        source=source,
        google=google,
        has_local=not packages.missing("local"),
        is_sound=not any(finding.code == "variable-wrong" for finding in findings),
    )
    yield from packages.versions(around)
    yield from packages.extras(around)
    yield from findings
    for part in (tasks, ports, state, credentials, pubsub, jobs):
        tell(part.__name__.rpartition(".")[2])
        yield from part.look(around)
