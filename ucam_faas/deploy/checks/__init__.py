"""`ucam-faas check`: rules that look for contradictions; a file for each family of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ucam_faas.deploy.checks import (
    configuration,
    delivery,
    environment,
    last_plan,
    names,
    payloads,
    schedules,
)
from ucam_faas.deploy.checks.rule import Rule, rule
from ucam_faas.deploy.checks.subject import Subject, configured
from ucam_faas.deploy.checks.terraform import delivery as terraform_delivery, permissions, sizes
from ucam_faas.deploy.findings import Fault, Finding


@rule("ignore-unknown", why="Nothing is ignored by it, and a misspelt name hides nothing.")
def ignore_unknown(subject: Subject) -> Iterator[Fault]:
    """A name in `ignore` that no rule has."""
    names = {one.name for one in RULES}
    for one in subject.planned:
        for name in one.merged["ignore"]:
            if name not in names:
                place, fix = configured(one, "ignore", name), "Write the name as it was printed."
                yield Fault(place, f"There is no rule {name!r}.", fix)


FAMILIES = {
    "Configuration and names": (*configuration.RULES, ignore_unknown, *names.RULES),
    "Delivery": delivery.RULES,
    "Schedules": schedules.RULES,
    "Payloads": payloads.RULES,
    "Environment": environment.RULES,
    "The plans before": last_plan.RULES,
    "Terraform": (*sizes.RULES, *terraform_delivery.RULES, *permissions.RULES),
}
RULES: tuple[Rule, ...] = tuple(one for rules in FAMILIES.values() for one in rules)


def run(subject: Subject) -> list[Finding]:
    """Return what the rules find, in the order of files and lines, without what is ignored.

    What is not one task's is ignored if every task ignores it. What is said once for several tasks
    is one finding.
    """
    ignored = {one.task.name: set(one.merged["ignore"]) for one in subject.planned}
    by_all = set.intersection(*ignored.values()) if ignored else set()
    owners: dict[Finding, set[str | None]] = {}
    for found in (finding for one in RULES for finding in one.findings(subject)):
        if found.rule not in ignored.get(found.task or "", by_all):
            owners.setdefault(replace(found, task=None), set()).add(found.task)
    merged = (
        replace(found, task=tasks.pop() if len(tasks) == 1 else None)
        for found, tasks in owners.items()
    )
    return sorted(merged, key=lambda finding: finding.order)
