"""Rules of callers: tasks that any caller reaches, and HTTP tasks that no caller does."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import FROM_ANYWHERE, deployments
from ucam_faas.deploy.checks.terraform.grants import ALL, INVOKER, grants_of
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.tasks.task import Kind

_PEOPLE = ("user:", "domain:")
_VERIFIED = "UCAM_FAAS_PUSH_AUDIENCE"


@rule("called-by-all", why="Anyone can make messages for it, or start it, and you pay for that.")
def called_by_all(inputs: Inputs) -> Iterator[Finding]:
    """A task that isn't an HTTP task, and that anyone may call."""
    for planned in inputs.planned:
        verified = {**planned.merged["secrets"], **planned.environment}.keys() & {_VERIFIED}
        if planned.task.kind is Kind.HTTP or planned.is_worker or verified:
            continue
        for member in planned.merged["invokers"]:
            if member in ALL:
                yield Finding(
                    configured(planned, "invokers", member),
                    f"The task {planned.name!r} may be called by {member}, and it is "
                    f"{_trigger(planned)}.",
                    f"Remove {member}: the deployment grants Pub/Sub and Cloud Scheduler what they "
                    "need.",
                    planned.name,
                )


def _trigger(planned: PlannedTask) -> str:
    return "a Cloud Run job" if planned.is_cloud_run_job else "meant for pushes of Pub/Sub"


@rule("called-by-none", why="Cloud Run answers every request with 403 or 404.")
def called_by_none(inputs: Inputs) -> Iterator[Finding]:
    """An HTTP task whose callers an internal ingress keeps out; or one without callers that was
    opened or had some, or that is the only one without."""
    https = [planned for planned in inputs.planned if planned.task.kind is Kind.HTTP]
    # Of two, one may well be open and the other one not.
    is_alone = len(https) > 2 and sum(not planned.merged["invokers"] for planned in https) == 1
    for planned in https:
        members, ingress = planned.merged["invokers"], planned.merged["ingress"]
        if members and ingress == "internal" and all(map(_is_person, members)):
            yield Finding(
                configured(planned, "invokers", members[0]),
                f"The HTTP task {planned.name!r} may be called by {' and '.join(members)}, and its "
                "ingress is internal, which keeps requests of people out.",
                'Set ingress = "all"; or name callers inside the project\'s network.',
                planned.name,
            )
        elif _is_closed(inputs, planned):
            yield Finding(
                configured(planned, "invokers", members[0]),
                f"The HTTP task {planned.name!r} may be called by {members[0]}; its ingress was "
                '"all", and is internal after the apply.',
                'Set ingress = "all"; or name callers inside the project\'s network.',
                planned.name,
            )
        reason = _expected(inputs, planned) or (
            "all other HTTP tasks have some" if is_alone else ""
        )
        if not members and reason and not _is_granted(inputs, planned):
            yield Finding(
                decorated(planned.task),
                f"The HTTP task {planned.name!r} has no callers (invokers), and {reason}.",
                'Name them: invokers=["group:…"] or ["serviceAccount:…"]; ["allUsers"] for anyone.',
                planned.name,
            )


def _is_closed(inputs: Inputs, planned: PlannedTask) -> bool:
    """Return True if callers of an open task are kept out from now on."""
    before = inputs.last.tasks.get(planned.name, {}) if inputs.last else {}
    was_open = before.get("function", {}).get("ingress") == FROM_ANYWHERE
    anyone = any(member in ALL or _is_person(member) for member in planned.merged["invokers"])
    return was_open and anyone and planned.merged["ingress"] == "internal"


def _is_person(member: str) -> bool:
    return member.startswith(_PEOPLE)


def _expected(inputs: Inputs, planned: PlannedTask) -> str:
    """Return why a task should have callers of its own; empty: callers may be named elsewhere."""
    before = inputs.last.tasks.get(planned.name, {}) if inputs.last else {}
    if before.get("function", {}).get("invokers"):
        return "the last plan had some"
    origin = planned.merged.origin("ingress")
    is_own = origin.layer == "decorator" or planned.name in origin.layer
    return 'its ingress is "all"' if is_own and planned.merged["ingress"] == "all" else ""


def _is_granted(inputs: Inputs, planned: PlannedTask) -> bool:
    """Return True if Terraform lets a caller in, whoever it is."""
    for deployment in deployments(inputs):
        assert inputs.terraform is not None
        if deployment.planned is planned:
            on = deployment.run.get("name")
            return bool(deployment.run.get("invoker_iam_disabled")) or any(
                grant.kind == "cloud_run_v2_service"
                and grant.on in (on, None)
                and (grant.role in INVOKER or not str(grant.role).startswith("roles/"))
                for grant in grants_of(inputs.terraform)
            )
    return False


RULES = (called_by_all, called_by_none)
