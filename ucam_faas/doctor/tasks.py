"""The tasks: whether there are any, and whether they can be loaded, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ucam_faas.config import Settings
from ucam_faas.dead_letters.parser import Parser, ParserError
from ucam_faas.deploy import source as sources
from ucam_faas.doctor import packages
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.tasks.loading import MISSING_ADVICE

_PART = Part("tasks")
LOAD_SECONDS = 30.0
_MOST_NAMED = 5


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the tasks of the source that other commands would take."""
    try:
        named = _sources(around)
    except UCAMFAASException as error:
        yield _broken(error)
        return
    if not named:
        yield _PART.wrong(
            "source-missing",
            f"there is no {Settings().source} in {around.folder}",
            "Go to the folder of your tasks, or name their source.",
            "ucam-faas doctor SOURCE",
        )
        return
    if not around.is_sound:
        yield _PART.unused("they can't be loaded before the variables are right")
        return
    try:
        with Parser(named, load_seconds=LOAD_SECONDS, environ=around.environ) as parser:
            needs = [task["needs"] for task in parser.tasks()]
    except ParserError as error:
        yield _broken(error, f"ucam-faas tasks {named[0]}")
        return
    names = [each["name"] for each in needs]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    tasks = f"{', '.join(names[:_MOST_NAMED])}{more}" if names else "no tasks"
    yield _PART.ok(f"{' '.join(named)} can be loaded: {tasks}")
    pulled = [each["name"] for each in needs if each["run_as"] == "worker"]
    if pulled and (lacking := packages.missing("worker")):
        what = f"a worker of {pulled[0]} needs the extra `worker`, which lacks {', '.join(lacking)}"
        do = "Install it, and add it to the dependencies of your tasks."
        yield _PART.wrong("extra-missing", what, do, 'pip install "ucam-faas[worker]"')


def _sources(around: Surroundings) -> list[str]:
    """Return the sources; none: only the default is left, and it isn't there."""
    if around.cloud is not None and around.cloud.sources and not sources.chosen(around.source):
        return list(around.cloud.sources)
    source = sources.decide(around.source, around.folder)
    return [source] if source != Settings().source or Path(source).exists() else []


def _broken(error: Exception, *commands: str) -> Finding:
    text = " ".join(str(error).split())
    what = text.removesuffix(MISSING_ADVICE)
    do = "Correct it." if what == text else MISSING_ADVICE
    return _PART.wrong("source-broken", what.rstrip(". "), do, *commands)
