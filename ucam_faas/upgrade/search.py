"""All findings in a project, those that break its code first."""

from __future__ import annotations

from pathlib import Path

from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.upgrade import in_deployment, in_packages, in_python, in_tasks
from ucam_faas.upgrade.changes import CHANGES
from ucam_faas.upgrade.project import Project, read

UNREADABLE = "python-unreadable"
BREAKS = frozenset(change.rule for change in CHANGES if change.breaks)
"""Rules for code that fails in this version; the others are for code that behaves differently."""


def search(folder: Path) -> tuple[Project, list[Finding]]:
    """Return the files of a project, and what to change in them.

    Args:
        folder: of the project; or a file.
    """
    project = read(folder)
    findings = [
        finding
        for part in (in_packages, in_python, in_tasks, in_deployment)
        for finding in part.look(project)
    ]
    for name, line, reason in project.unreadable:
        findings.append(
            Finding(
                Place(name, line),
                f"The file can't be read as Python: {reason}.",
                "Correct it, and check again.",
                rule=UNREADABLE,
                why="It may hold more to change.",
            )
        )
    return project, sorted(findings, key=lambda each: (each.rule not in BREAKS, each.order))
