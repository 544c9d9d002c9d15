"""Findings of `ucam-faas check`: one contradiction, its place, why it matters and its fix."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.deploy.config_file import Origin


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a finding, as exactly as it is known: `file:line`, a file or a layer.

    Args:
        within: what the line alone does not say: an address in Terraform, a layer.
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
class Finding:
    """A contradiction.

    Args:
        what: the contradiction, as a sentence.
        fix: what to do about it.
        task: the name of its task; None: it concerns several tasks, or none.
        name: of the thing in Google Cloud, for `ignore`; empty: it concerns none by itself.
        commands: for the fix, to copy.
        rule: the name of the broken rule, which the rule fills in, as it does `why`.
    """

    place: Place
    what: str
    fix: str
    task: str | None = None
    name: str = ""
    commands: tuple[str, ...] = ()
    rule: str = ""
    why: str = ""

    @property
    def order(self) -> tuple[str, int, str, str]:
        """By file and line."""
        return self.place.file or "", self.place.line or 0, self.rule, self.what
