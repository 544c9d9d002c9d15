"""The names of things in Google Cloud that are in a task's options: their project and location."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ucam_faas.deploy.config_file import KeyPath
from ucam_faas.deploy.terraform_variables import PlannedTask

_PROJECT = r"(?P<project>[^/\s:@'\"]+(?::[^/\s:@'\"]+)?)"
_REGION = "(?P<location>[a-z]+-[a-z]+[0-9]+)"
_FORMS = (
    re.compile(
        rf"projects/{_PROJECT}/(?:global/|(?:locations|regions)/(?P<location>[^/\s]+)/)?"
        r"(?P<kind>[A-Za-z]+)/(?P<name>[^\s'\"&?]+)"
    ),
    re.compile(
        r"(?P<name>[\w-]+)@(?P<project>[\w.:-]+)\.iam\.(?P<kind>gserviceaccount)\.com", re.ASCII
    ),
    re.compile(
        rf"(?<![\w.:-])(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9-]+):{_REGION}:"
        r"(?P<name>(?P<kind>)[a-z][a-z0-9-]*)(?![\w:])"
    ),
    re.compile(
        rf"(?P<location>[a-z0-9-]+)-(?P<kind>docker)\.pkg\.dev/{_PROJECT}/(?P<name>[^\s@]+)"
    ),
    re.compile(rf"(?P<kind>firestore):{_PROJECT}(?:/(?P<name>\S+))?"),
    re.compile(r"(?P<kind>gs)://(?P<name>[a-z0-9._-]+)"),
)
_KINDS = {
    "": "Cloud SQL instance",
    "connectors": "connector",
    "cryptoKeys": "key",
    "databases": "database",
    "docker": "image",
    "firestore": "database",
    "gs": "bucket",
    "gserviceaccount": "account",
    "keyRings": "key",
    "notificationChannels": "notification channel",
    "networks": "network",
    "queues": "queue",
    "secrets": "secret",
    "subnetworks": "subnetwork",
    "subscriptions": "subscription",
    "topics": "topic",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A thing that a value names.

    Args:
        path: of the value in the options.
        text: the whole value.
        kind: a noun; the collection's name in Google's APIs, if it isn't a common one.
        project: None: the name has none.
        location: a region, a multi-region or `global`; None: the name has none.
    """

    path: KeyPath
    text: str
    kind: str
    name: str
    project: str | None = None
    location: str | None = None

    @property
    def option(self) -> str:
        """The option, as messages show it."""
        return shown(self.path, self.text)


def shown(path: KeyPath, text: str) -> str:
    """Return an option as messages show it: `vpc_access.connector`; of a list, its name."""
    return ".".join(option_of(path, text))


def option_of(path: KeyPath, text: str) -> KeyPath:
    """Return the path of an option: of an item of a list, that of the list."""
    return path[:-1] if len(path) > 1 and path[-1] == text else path


def texts_of(planned: PlannedTask) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts in the options of a task, with their paths; and the topics in its code."""
    for key, value in planned.merged.values.items():
        yield from _texts((key,), value)
    needs = planned.needs
    topics = {
        "topic": needs.topic if needs.gets_messages else None,
        "dead_letter_topic": needs.dead_letter_topic or needs.decided_dead_letter_topic,
    }
    for option, topic in topics.items():
        if topic:
            yield (option,), planned.naming.own(topic)


def references_of(planned: PlannedTask) -> Iterator[Reference]:
    """Yield the things in Google Cloud that the options of a task name."""
    for path, text in texts_of(planned):
        yield from references_in(text, path)


def references_in(text: str, path: KeyPath = ()) -> Iterator[Reference]:
    """Yield the things in Google Cloud that a text names.

    >>> [thing] = references_in("projects/shop/locations/europe-west2/queues/delays")
    >>> thing.kind, thing.project, thing.location, thing.name
    ('queue', 'shop', 'europe-west2', 'delays')
    """
    for form in _FORMS:
        for match in form.finditer(text):
            parts = match.groupdict()
            yield Reference(
                path=path,
                text=text,
                kind=_KINDS.get(parts["kind"], parts["kind"]),
                name=parts["name"] or "",
                project=parts.get("project"),
                location=parts.get("location"),
            )


def _texts(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts((*path, name), inner)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, str):
                yield (*path, item), item  # as the layers have its origin
            else:
                yield from _texts(path, item)
