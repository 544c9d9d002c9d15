"""`ucam-faas check`: `rules/` look for contradictions, one file a family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import Rule, rule
from ucam_faas.deploy.checks.rules import (
    callers,
    configuration,
    deletions,
    delivery,
    environment,
    job_places,
    jobs,
    lanes,
    load,
    names,
    payloads,
    previous_plan,
    regions,
    regressions,
    retries,
    roles,
    schedules,
    stages,
    telemetry,
    terraform_delivery,
    terraform_differences,
    terraform_grants,
    terraform_losses,
    terraform_permissions,
    terraform_services,
)
from ucam_faas.deploy.findings import Finding


@rule("ignore-unknown", why="The entry ignores nothing, and a misspelt name hides nothing.")
def ignore_unknown(inputs: Inputs) -> Iterator[Finding]:
    """A name in `ignore` that isn't a rule's."""
    names = {known.name for known in RULES}
    for planned in inputs.planned:
        for name in planned.merged["ignore"]:
            if name.partition(":")[0] not in names:
                place = configured(planned, "ignore", name)
                yield Finding(
                    place, f"There is no rule {name!r}.", "Write the name as it was printed."
                )


FAMILIES = {
    "Configuration and names": (*configuration.RULES, ignore_unknown, *names.RULES),
    "Projects, regions and stages": (*stages.RULES, *regions.RULES),
    "Delivery": (*delivery.RULES, *retries.RULES),
    "Load": load.RULES,
    "Jobs": (*jobs.RULES, *lanes.RULES, *job_places.RULES),
    "Schedules": schedules.RULES,
    "Payloads": payloads.RULES,
    "Environment": (*environment.RULES, *telemetry.RULES),
    "Callers and roles": (*callers.RULES, *roles.RULES),
    "Previous plans": previous_plan.RULES,
    "Deletions": (*deletions.RULES, *terraform_losses.RULES),
    "Lost settings": regressions.RULES,
    "Terraform": (
        *terraform_differences.RULES,
        *terraform_delivery.RULES,
        *terraform_services.RULES,
        *terraform_permissions.RULES,
        *terraform_grants.RULES,
    ),
}
RULES: tuple[Rule, ...] = tuple(known for family in FAMILIES.values() for known in family)

OF_BASELINE: tuple[Rule, ...] = (payloads.changed, *deletions.RULES, *regressions.RULES)
"""Rules that compare with the last plan."""


def run(inputs: Inputs, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Return the findings of rules, in the order of files and lines, without ignored ones.

    A finding of no single task is ignored if every task ignores it; if it has a name, only by that
    name. Equal findings of several tasks are one finding.
    """
    is_ignored = _ignored(inputs)
    owners: dict[Finding, set[str | None]] = {}
    for finding in (finding for known in rules for finding in known.findings(inputs)):
        if not is_ignored(finding):
            owners.setdefault(replace(finding, task=None), set()).add(finding.task)
    merged = (
        replace(finding, task=tasks.pop() if len(tasks) == 1 else None)
        for finding, tasks in owners.items()
    )
    return sorted(merged, key=lambda finding: finding.order)


def _ignored(inputs: Inputs) -> Callable[[Finding], bool]:
    """Return the test for findings that `ignore` leaves out: RULE, or RULE:NAME for one thing."""
    by_task = {planned.task.name: set(planned.merged["ignore"]) for planned in inputs.planned}
    by_any = set[str]().union(*by_task.values())
    by_all = set.intersection(*by_task.values()) if by_task else set()

    def is_ignored(finding: Finding) -> bool:
        if f"{finding.rule}:{finding.name or finding.task}" in by_any:
            return True
        if finding.task is None:
            return not finding.name and finding.rule in by_all
        return finding.rule in by_task.get(finding.task, by_all)

    return is_ignored
