"""Rules of names: those that Google refuses, and those that two things would have."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, decorated
from ucam_faas.deploy.findings import Fault
from ucam_faas.deploy.plan import SERVICE_NAME, service_name
from ucam_faas.tasks.policies import TOPIC_RULES, is_topic_name

LONGEST_NAME = 255
_KEPT, _ARCHIVE = "-dead-letter", "-dead-letter-archive"


@rule("name-refused", why="Google, or the Terraform module, refuses it.")
def refused(subject: Subject) -> Iterator[Fault]:
    """A task whose name Cloud Run (over 49 of a-z, 0-9 and -, `goog…`) or Pub/Sub refuses."""
    for task in subject.tasks:
        name = service_name(task.name)
        if not SERVICE_NAME.fullmatch(name):
            yield Fault(
                decorated(task),
                f"The task {task.name!r} cannot be the Cloud Run {task.run_as} {name!r}: expected "
                "1 to 49 of a-z, 0-9 and -, beginning with a letter, and not with goog.",
                "Rename the function.",
                task.name,
            )
        elif task.trigger is not None and not is_topic_name(task.name):
            yield Fault(
                decorated(task),
                f"The task {task.name!r} cannot have a subscription of its name: expected "
                f"{TOPIC_RULES}.",
                "Rename the function.",
                task.name,
            )


@rule("names-collide", why="The second one replaces the first, or cannot be made.")
def collide(subject: Subject) -> Iterator[Fault]:
    """Two tasks whose names make one Cloud Run service."""
    found: dict[str, str] = {}
    for task in sorted(subject.tasks, key=lambda task: task.name):
        name = service_name(task.name)
        if name in found:
            yield Fault(
                decorated(task),
                f"The tasks {found[name]!r} and {task.name!r} would both be the Cloud Run service "
                f"{name!r}.",
                "Rename one of the functions.",
                task.name,
            )
        found.setdefault(name, task.name)


@rule("derived-name-too-long", why=f"Pub/Sub's names have at most {LONGEST_NAME} characters.")
def too_long(subject: Subject) -> Iterator[Fault]:
    """A subscription whose dead-letter topic, or its archive, would have too long a name."""
    for one in subject.services:
        for name, found in subject.variables(one)["triggers"]["subscriptions"].items():
            dead_letter = found["dead_letter"]
            if dead_letter is None or dead_letter["topic"] is not None:
                continue
            derived = name + (_ARCHIVE if one.merged["dead_letter_archive"] else _KEPT)
            if len(derived) > LONGEST_NAME:
                yield Fault(
                    decorated(one.task),
                    f"The dead letters of {one.task.name!r} would be kept in {derived!r}, which "
                    f"has {len(derived)} characters.",
                    "Rename the function, or name a topic with dead_letter_topic=….",
                    one.task.name,
                )


OF_CODE = (refused, collide)
"""Without a plan: there is none if they find something."""
RULES = (*OF_CODE, too_long)
