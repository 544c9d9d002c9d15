"""Rules of payloads: messages that the code no longer takes, and input that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, decorated
from ucam_faas.deploy.findings import Fault
from ucam_faas.deploy.payloads import compatibility
from ucam_faas.tasks.payload_types import is_json
from ucam_faas.tasks.task import Kind, Task

_INPUT = "INPUT_FILE"


@rule(
    "payload-changed",
    why="Messages in flight, retries and other publishers still have the old form.",
)
def changed(subject: Subject) -> Iterator[Fault]:
    """A payload that no longer takes what it took in the last plan: fields removed, retyped, …"""
    for one in subject.planned:
        before = subject.last.tasks.get(one.task.name, {}) if subject.last else {}
        for change in compatibility.changes(
            before.get("payload"), subject.variables(one)["payload"]
        ):
            field = f"{change.path!r} of the payload" if change.path else "the payload"
            yield Fault(
                decorated(one.task),
                f"The task {one.task.name!r}: {field} {change.what}.",
                change.fix,
                one.task.name,
                change.why,
            )


@rule("job-without-input", why="Each execution fails before the function is called.")
def job_without_input(subject: Subject) -> Iterator[Fault]:
    """A scheduled job that takes a payload, and is given no input."""
    for one in subject.planned:
        scheduled = one.task.trigger is not None and one.task.trigger.schedules
        given = _INPUT in one.merged["environment"] or _INPUT in one.merged["secrets"]
        if one.task.run_as == "job" and scheduled and not given and _refuses_nothing(one.task):
            yield Fault(
                decorated(one.task),
                f"The job {one.task.name!r} takes a {one.needs.takes}, and its schedule starts it "
                "with nothing.",
                f'Name its input, environment={{"{_INPUT}": …}} (with INPUT_BUCKET), or let it '
                "take no payload: message_type=None.",
                one.task.name,
            )


def _refuses_nothing(task: Task) -> bool:
    """Tell whether a task refuses empty data, as far as that is known without the user's code."""
    if task.kind is not Kind.MESSAGE or task.parse is None or not is_json(task.message_type):
        return False
    try:
        task.parse(b"")
    except Exception:  # validators may raise anything
        return True
    return False


RULES = (changed, job_without_input)
