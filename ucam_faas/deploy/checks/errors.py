"""Errors that end a check or a plan, as findings: for programs, which read JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ucam_faas.deploy.checks.rules.configuration import problem_finding
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.problems import ProblemsError
from ucam_faas.exceptions import (
    TaskDefinitionError,
    UCAMFAASCouldNotLoadTarget,
    UCAMFAASException,
)

CODE, INPUT = "code-unusable", "input-unusable"
"""The names in the place of a rule's."""
_WHY = "Nothing else was checked. Neither a plan nor a deployment is possible."


def findings_of(error: UCAMFAASException) -> Sequence[Finding]:
    """Return the findings of an error: one, or one for each problem of the configuration."""
    if isinstance(error, ProblemsError):
        return [problem_finding(problem) for problem in error.problems]
    is_code = isinstance(error, TaskDefinitionError | UCAMFAASCouldNotLoadTarget)
    file, line = error.place or (None, None)
    return [
        Finding(
            Place(file and os.path.relpath(file), line),
            str(error),
            "Correct it; `ucam-faas tasks` imports the code as this command does."
            if is_code
            else "Correct it. The message says what was expected.",
            rule=CODE if is_code else INPUT,
            why=_WHY,
        )
    ]
