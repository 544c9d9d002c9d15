"""Rules of `roles`: granted for another option already, or on something of another kind."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.roles import fits, kind_of, parse
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.tasks.mounts import volume_of
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.resources import secret_version


@rule(
    "role-granted-twice",
    why="Two resources in Terraform are one grant: removing either takes it from the task.",
)
def granted_twice(inputs: Inputs) -> Iterator[Finding]:
    """A role in `roles` that the plan grants for a topic, a secret, a volume or jobs already."""
    project = (inputs.plan and inputs.plan.project) or "-"
    for planned in inputs.planned:
        granted = {(f"roles/{role}", on): option for role, on, option in _granted(planned, project)}
        for text in planned.merged["roles"]:
            if option := granted.get(parse(text)):
                yield Finding(
                    configured(planned, "roles", text),
                    f"The task {planned.name!r} has {text!r} in roles, and the plan grants it for "
                    f"{option}.",
                    "Remove it from roles.",
                    planned.name,
                )


def _granted(planned: PlannedTask, project: str) -> Iterator[tuple[str, str, str]]:
    """Yield the roles of a task's account that other options grant: role, resource and option."""
    for topic in planned.publishes_to:
        yield "pubsub.publisher", full_topic(topic, project), "the topics to which it publishes"
    for name in planned.subscriptions if planned.is_worker else ():
        full = name if "/" in name else f"projects/{project}/subscriptions/{name}"
        yield "pubsub.subscriber", full, "its subscription"
    for variable, text in planned.merged["secrets"].items():
        secret = secret_version(text, variable).secret
        full = secret if "/" in secret else f"projects/{project}/secrets/{secret}"
        yield "secretmanager.secretAccessor", full, f"secrets.{variable}"
    for path, text in planned.merged["volumes"].items():
        volume = volume_of(text, path)
        role = "storage.objectViewer" if volume.read_only else "storage.objectUser"
        yield role, f"gs://{volume.bucket}", f"volumes.{path}"
    if planned.jobs.queue:
        yield "cloudtasks.enqueuer", planned.jobs.queue, "the delays of its jobs"
    if planned.jobs.payloads:
        yield "storage.objectUser", f"gs://{planned.jobs.payloads.name}", "its jobs' payloads"


@rule(
    "role-misplaced",
    why="Google refuses the grant, and the apply fails; or it gives the task nothing.",
)
def misplaced(inputs: Inputs) -> Iterator[Finding]:
    """A role in `roles` on a resource of a kind that it isn't for."""
    for planned in inputs.planned:
        for text in planned.merged["roles"]:
            role, on = parse(text)
            if not fits(role, on):
                yield Finding(
                    configured(planned, "roles", text),
                    f"The task {planned.name!r} has {text!r} in roles, and a "
                    f"{(kind_of(on) or '').replace('_', ' ')} has no such role.",
                    "Grant it on the topic, and no role on the subscription for publishing."
                    if role == "roles/pubsub.publisher"
                    else "Name the resource that the task uses, or the role for this one.",
                    planned.name,
                )


RULES = (granted_twice, misplaced)
