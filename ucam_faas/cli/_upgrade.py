"""`ucam-faas check --from 1.0`: findings in a project that was written for 1.0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ucam_faas.cli._findings import print_findings, print_findings_json
from ucam_faas.cli._messages import say
from ucam_faas.deploy.findings import Finding
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.upgrade.changes import CHANGES
from ucam_faas.upgrade.project import Project
from ucam_faas.upgrade.search import BREAKS, search

GUIDE = "docs/upgrading.md"


def check_upgrade(source: str | None, *, json_only: bool) -> int:
    """Print the findings in a file or folder; return the exit code.

    Raises:
        ConfigurationError: it isn't there.
    """
    folder = Path(source or ".")
    if not folder.exists():
        raise ConfigurationError(f"There is no {folder} in {Path.cwd()}: name a file or a folder.")
    project, findings = search(folder)
    if json_only:
        print_findings_json(findings)
    else:
        print_findings(findings)
        _conclude(project, findings)
    return 1 if findings else 0


def _conclude(project: Project, findings: Sequence[Finding]) -> None:
    count = len(project.python)
    files = f"{count} Python file{'s' * (count != 1)} and {len(project.texts)} other files"
    if not project.users:
        say(f"No Python file here imports ucam_faas: {files} were read.", "yellow")
        return
    fail = sum(finding.rule in BREAKS for finding in findings)
    if findings:
        say(f"{fail} would fail, {len(findings) - fail} may behave differently: {files}.", "red")
    else:
        say(f"Nothing to change found: {files}.", "green")
    hidden = sum(not change.rule for change in CHANGES)
    say(f"{hidden} more changes leave no trace in files: read {GUIDE}, and run your own tests.")
