"""A rule of `ucam-faas check`: a pure function from what is known to the faults that it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ucam_faas.deploy.checks.subject import Subject
from ucam_faas.deploy.findings import Fault, Finding

Search = Callable[[Subject], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Args:
        name: as it is printed and ignored.
        why: what happens when it is broken.
        search: finds the faults; the first line of its docstring says which.
    """

    name: str
    why: str
    search: Search

    @property
    def finds(self) -> str:
        """What it finds, in a line."""
        return (inspect.getdoc(self.search) or "").partition("\n\n")[0].replace("\n", " ")

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Yield what it finds."""
        for fault in self.search(subject):
            yield Finding(
                rule=self.name,
                place=fault.place,
                what=fault.what,
                why=fault.why or self.why,
                fix=fault.fix,
                task=fault.task,
            )


def rule(name: str, *, why: str) -> Callable[[Search], Rule]:
    """Make a rule of a function."""
    return lambda search: Rule(name, why, search)
