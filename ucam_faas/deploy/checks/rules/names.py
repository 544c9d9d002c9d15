"""Rules of names: names that Google refuses, and names that two resources would share."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.config import Settings
from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.layers import merge_task
from ucam_faas.deploy.plan import SERVICE_NAME, service_name
from ucam_faas.deploy.terraform_variables import naming_of
from ucam_faas.deploy.topics import subscriptions_of
from ucam_faas.tasks.cloud_names import collisions
from ucam_faas.tasks.needs import needs_of
from ucam_faas.tasks.policies import TOPIC_RULES, is_topic_name

LONGEST_NAME = 255


@rule("name-refused", why="Google, or the Terraform module, refuses it.")
def refused(inputs: Inputs) -> Iterator[Finding]:
    """A task whose name Cloud Run (over 49 of a-z, 0-9 and -, `goog…`) or Pub/Sub refuses."""
    prefix = _prefix(inputs)
    shorter = f", or shorten the name_prefix {prefix!r}" if prefix else ""
    for task in inputs.tasks:
        name = prefix + service_name(task.name)
        if not SERVICE_NAME.fullmatch(name):
            yield Finding(
                decorated(task),
                f"The task {task.name!r} cannot be the {task.resource} {name!r}: expected "
                "1 to 49 of a-z, 0-9 and -, beginning with a letter, and not with goog.",
                f"Write name=… on the decorator, or rename the function{shorter}.",
                task.name,
            )
        elif task.trigger is not None and not is_topic_name(task.name):
            yield Finding(
                decorated(task),
                f"The task {task.name!r} cannot have a subscription of its name: expected "
                f"{TOPIC_RULES}.",
                "Write name=… on the decorator, or rename the function.",
                task.name,
            )


def _prefix(inputs: Inputs) -> str:
    if inputs.problems or not inputs.tasks:
        return ""
    return naming_of(merge_task(inputs.config, inputs.tasks[0], inputs.stage)).prefix


@rule("names-collide", why="The second service replaces the first, or the apply fails.")
def collide(inputs: Inputs) -> Iterator[Finding]:
    """Two tasks with one name in Cloud Run, Cloud Scheduler or Pub/Sub."""
    owners: dict[str, str] = {}
    for task in sorted(inputs.tasks, key=lambda task: task.name):
        name = service_name(task.name)
        if name in owners:
            yield Finding(
                decorated(task),
                f"The tasks {owners[name]!r} and {task.name!r} would both be the Cloud Run service "
                f"{name!r}.",
                "Give one of them another name, with name=… on the decorator.",
                task.name,
            )
        owners.setdefault(name, task.name)
    named = {task.name: task for task in inputs.tasks if is_topic_name(task.name)}
    for name, text in collisions(needs_of(task, Settings()) for task in named.values()):
        fix = "Give one of the tasks another name, with name=… on the decorator."
        yield Finding(decorated(named[name]), text, fix, name)


@rule("derived-name-too-long", why=f"Pub/Sub's names have at most {LONGEST_NAME} characters.")
def too_long(inputs: Inputs) -> Iterator[Finding]:
    """A dead-letter topic that gives its subscription or archive too long a name."""
    topics = inputs.plan.topics if inputs.plan else {}
    for planned in inputs.receivers:
        topic = planned.dead_letters.topic if planned.dead_letters else ""
        derived = [topic, *(subscriptions_of(topic, topics[topic]) if topic in topics else ())]
        longest = max(derived, key=len)
        if topic in topics and len(longest) > LONGEST_NAME:
            yield Finding(
                decorated(planned.task),
                f"The dead letters of {planned.task.name!r} would be kept in {longest!r}, "
                f"which has {len(longest)} characters.",
                "Give the task a shorter name=…, or name another topic with dead_letter_topic=….",
                planned.task.name,
            )


OF_CODE = (refused, collide)
"""Rules that need no plan: their findings prevent it."""
RULES = (*OF_CODE, too_long)
