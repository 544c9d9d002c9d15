"""Changes that Terraform, workflows and queries show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.upgrade import changes
from ucam_faas.upgrade.project import Project

_FIELD = re.compile(
    r"jsonPayload\.(event|execution|execution_id|cloudevents|cloud_event_handler|pubsub_message|"
    r"message_handler)\b"
)
_SEVERITY = re.compile(r"severity\s*(>=|=)\s*\\?\"?ERROR")
_SOURCE = re.compile(r"^\s*source\s*=\s*\"([^\"]*(?:faas|FaaS)[^\"]*)\"")
_OURS = re.compile(r"//terraform|^\.\.?/")
_LIST = re.compile(r"^\s*cron_schedules\s*=\s*\[")


def look(project: Project) -> Iterator[Finding]:
    """Yield the findings in other files than Python's."""
    for file in project.texts:
        for number, line in file.lines():
            place = Place(file.path, number)
            yield from _logs(place, line)
            if file.path.endswith((".tf", ".hcl")):
                yield from _terraform(place, line)


def _logs(place: Place, line: str) -> Iterator[Finding]:
    if match := _FIELD.search(line):
        yield changes.LOG_RECORDS.finding(place, f"A query reads {match[0]}.")
    if _SEVERITY.search(line):
        yield changes.SEVERITY.finding(place, "A query reads errors, without warnings.")


def _terraform(place: Place, line: str) -> Iterator[Finding]:
    if (match := _SOURCE.match(line)) and not _OURS.search(match[1]):
        yield changes.MODULE.finding(place, f"The module {match[1]} deploys 1.0.")
    if _LIST.match(line):
        yield changes.CRON_LIST.finding(place, "The schedules are a list.")
