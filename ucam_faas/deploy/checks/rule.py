"""A rule of `ucam-faas check`: a pure function from the inputs to findings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.findings import Finding

Search = Callable[[Inputs], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Args:
        name: for output, and for `ignore`.
        why: the consequence of a contradiction.
        search: yields the findings; the first line of its docstring names the contradiction.
    """

    name: str
    why: str
    search: Search

    @property
    def finds(self) -> str:
        """The contradiction that the rule looks for, in a line."""
        return (inspect.getdoc(self.search) or "").partition("\n\n")[0].replace("\n", " ")

    def findings(self, inputs: Inputs) -> Iterator[Finding]:
        """Yield the findings, with the rule's name and reason."""
        for finding in self.search(inputs):
            yield replace(finding, rule=self.name, why=self.why)


def rule(name: str, *, why: str) -> Callable[[Search], Rule]:
    """Make a rule of a function."""
    return lambda search: Rule(name, why, search)
