"""Where a running `ucam-faas dev` is: it writes `.ucam-faas/dev.json`, other verbs read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = ".ucam-faas"
FILE = "dev.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCloud:
    """A local cloud that runs.

    Args:
        pubsub: `host:port` of its Pub/Sub; none: Google's.
        project: the project of its topics.
        scheduler: `host:port` of its schedules.
        sources: what holds its tasks.
    """

    pubsub: str
    project: str
    scheduler: str = ""
    sources: tuple[str, ...] = ()


def read(folder: Path) -> LocalCloud | None:
    """Return the local cloud of a directory of tasks; None: none, or its file cannot be read.

    Args:
        folder: the directory that `ucam-faas dev` was started in. What the file says more is not
            for us: a newer version may have written it.
    """
    try:
        found = json.loads((folder / FOLDER / FILE).read_bytes())
        sources = found.get("sources", [])
        texts = [found["pubsub"], found["project"], found.get("scheduler", ""), *sources]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(sources, list) or not all(isinstance(text, str) for text in texts):
        return None
    pubsub, project, scheduler, *_ = texts
    return LocalCloud(pubsub=pubsub, project=project, scheduler=scheduler, sources=tuple(sources))


def write(folder: Path, cloud: LocalCloud) -> None:
    """Say where the local cloud of a directory is; readers see all of it or nothing."""
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    beside = home / f"{FILE}.new"
    beside.write_text(json.dumps(asdict(cloud)))
    beside.replace(home / FILE)


def forget(folder: Path) -> None:
    """Say that there is no local cloud."""
    (folder / FOLDER / FILE).unlink(missing_ok=True)
