"""What `ucam-faas check` reports: one contradiction, where it is, why it matters and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.deploy.config_file import Origin


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: `file:line`, or what there is of it.

    Args:
        within: what it is, if the line alone does not say it: an address in Terraform.
    """

    file: str | None = None
    line: int | None = None
    within: str = ""

    def __str__(self) -> str:
        parts = [str(part) for part in (self.file, self.line) if part is not None]
        return ":".join(parts) or self.within

    @classmethod
    def of(cls, origin: Origin) -> Place:
        """Return the place of a value of the configuration."""
        return cls(origin.file, origin.line, "" if origin.line else origin.layer)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that breaks a rule.

    Args:
        task: whose fault it is, if it is one task's.
        why: if it is not always the same for the rule.
    """

    place: Place
    what: str
    fix: str
    task: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault, and the rule that it breaks."""

    rule: str
    place: Place
    what: str
    why: str
    fix: str
    task: str | None = None

    @property
    def order(self) -> tuple[str, int, str, str]:
        """By file and line."""
        return self.place.file or "", self.place.line or 0, self.rule, self.what
