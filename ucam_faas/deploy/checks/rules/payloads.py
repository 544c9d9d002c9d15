"""Rules of payloads: messages that the code no longer takes, and missing input."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.payloads import compatibility, overlap
from ucam_faas.deploy.payloads.changes import FIX
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.payload_types import is_json
from ucam_faas.tasks.task import Kind, Task

_INPUT = "INPUT_FILE"


@rule(
    "payload-changed",
    why="Messages in flight, retries and other publishers still have the old form.",
)
def changed(inputs: Inputs) -> Iterator[Finding]:
    """A payload that may refuse or misread messages of the last plan: fields gone, retyped, …"""
    for planned in inputs.planned:
        before = inputs.last.tasks.get(planned.task.name, {}) if inputs.last else {}
        for change in compatibility.changes(before.get("payload"), planned.payload):
            field = f"{change.path!r} of the payload" if change.path else "the payload"
            yield Finding(
                decorated(planned.task),
                f"The task {planned.task.name!r}: {field} {change.text}.",
                FIX,
                planned.task.name,
            )


@rule("job-without-input", why="Each execution fails before the function is called.")
def job_without_input(inputs: Inputs) -> Iterator[Finding]:
    """A scheduled Cloud Run job that takes a payload, without an input file."""
    for planned in inputs.planned:
        task = planned.task
        scheduled = task.trigger is not None and task.trigger.schedules
        has_input = _INPUT in planned.merged["environment"] or _INPUT in planned.merged["secrets"]
        if planned.is_cloud_run_job and scheduled and not has_input and refuses(planned.task, b""):
            yield Finding(
                decorated(planned.task),
                f"The Cloud Run job {planned.task.name!r} takes a {planned.needs.takes}, and its "
                "schedule gives it none.",
                f'Name its input, environment={{"{_INPUT}": …}} (with INPUT_BUCKET), or let it '
                "take no payload: message_type=None.",
                planned.task.name,
            )


def refuses(task: Task, data: bytes) -> bool:
    """Return True if a task refuses data, as far as its type tells."""
    if task.kind is not Kind.MESSAGE or task.parse is None or not is_json(task.message_type):
        return False
    try:
        task.parse(data)
    except Exception:  # validators may raise anything
        return True
    return False


@rule(
    "payloads-exclude-each-other",
    why="Each message fails in one of the tasks, and becomes a dead letter there.",
)
def exclude_each_other(inputs: Inputs) -> Iterator[Finding]:
    """Two tasks that get the same messages, and payloads that no message suits both of."""
    project = (inputs.plan and inputs.plan.project) or "-"
    readers = [planned for planned in inputs.receivers if planned.needs.topic]
    readers.sort(key=lambda planned: planned.task.place)
    for first, second in itertools.combinations(readers, 2):
        topics = {full_topic(planned.needs.topic or "", project) for planned in (first, second)}
        filters = (first.needs.filter, second.needs.filter)
        if len(topics) > 1 or (all(filters) and filters[0] != filters[1]):
            continue
        if reason := overlap.clash(first.payload, second.payload):
            what = f"{reason.path!r}" if reason.path else "it"
            yield Finding(
                decorated(second.task),
                f"The tasks {first.name!r} and {second.name!r} both get the messages of "
                f"{first.needs.topic!r}, and none suits both: {what} is {reason.first} for "
                f"{first.name!r}, and {reason.second} for {second.name!r}.",
                "Separate them with a filter on each, such as filter='attributes.kind = \"KIND\"', "
                "or give one of them another topic.",
                second.name,
            )


@rule(
    "dead-letters-misread",
    why="The other task refuses the dead letters, or makes something else of them.",
)
def dead_letters_misread(inputs: Inputs) -> Iterator[Finding]:
    """Dead letters in a topic of another task, whose payload none of them suits."""
    project = (inputs.plan and inputs.plan.project) or "-"
    for planned, other in itertools.permutations(inputs.receivers, 2):
        topics = (planned.needs.dead_letter_topic, other.needs.topic)
        if not all(topics) or other.needs.filter:
            continue
        first, second = (full_topic(topic or "", project) for topic in topics)
        if first == second and overlap.clash(planned.payload, other.payload):
            yield Finding(
                decorated(planned.task),
                f"The dead letters of the task {planned.name!r} go to {topics[0]!r}, which the "
                f"task {other.name!r} reads, and it takes other payloads.",
                "Give the dead letters another topic.",
                planned.name,
            )


RULES = (changed, job_without_input, exclude_each_other, dead_letters_misread)
