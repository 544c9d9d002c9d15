"""What can be wrong with a change of a payload: its kinds, why each matters and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """How messages of the old form fare with the new code."""

    REMOVED = "removed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    REQUIRED = "required"
    VALUE = "value removed"
    NARROWED = "narrowed"
    CLOSED = "closed"
    ALTERNATIVE = "alternative removed"
    FORMAT = "format"
    NUMBER = "number"
    LABEL = "label"


_OLD = "Messages in flight, retries, dead letters to replay and other publishers still"
_REFUSED = f"{_OLD} have the old form, and are refused."
_TEXTS = {
    ChangeKind.REMOVED: (
        f"{_OLD} have it, and what it holds is dropped without a word.",
        "Keep it, optional, until no message has it any more.",
    ),
    ChangeKind.RENAMED: (
        f"{_OLD} have the old name.",
        "Take both names for a while: validation_alias=AliasChoices(NEW, OLD).",
    ),
    ChangeKind.RETYPED: (
        _REFUSED,
        "Take both types for a while (JSON: OLD | NEW), or give the new type a new name (protobuf: "
        "and a new number).",
    ),
    ChangeKind.REQUIRED: (
        f"{_OLD} lack it, and are refused.",
        "Make it optional for as long as messages may lack it.",
    ),
    ChangeKind.VALUE: (
        f"{_OLD} have the value, and are refused.",
        "Keep the value for as long as messages may have it.",
    ),
    ChangeKind.NARROWED: (
        f"{_OLD} may have values outside the limit, and are refused.",
        "Keep the limit, or check the stricter one in the task and decide there.",
    ),
    ChangeKind.CLOSED: (
        "Publishers that send other fields, which were ignored so far, are refused.",
        'Leave out extra="forbid": a new field of a publisher then does no harm.',
    ),
    ChangeKind.ALTERNATIVE: (_REFUSED, "Keep the alternative until no message has it any more."),
    ChangeKind.FORMAT: (
        _REFUSED,
        "Make it another task with a topic of its own, and keep this one until it has no messages.",
    ),
    ChangeKind.NUMBER: (
        f"{_OLD} have the old numbers: what they hold is lost, or read as another field.",
        "A number keeps its name and type for ever: take a number that was never used, and say "
        "`reserved` of those that are gone.",
    ),
    ChangeKind.LABEL: (
        f"{_OLD} have the old form: values are lost, or the message is refused.",
        "Add a field with a new number, and read both for a while.",
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """An incompatible change of a payload.

    Args:
        path: such as `user.addresses[].zip`, or `prices.*` for the values of a map; empty: the
            payload itself.
        kind: of the change.
        what: what was found, to read after the path.
    """

    path: str
    kind: ChangeKind
    what: str

    @property
    def why(self) -> str:
        """Why it matters."""
        return _TEXTS[self.kind][0]

    @property
    def fix(self) -> str:
        """What to do."""
        return _TEXTS[self.kind][1]

    @property
    def message(self) -> str:
        """All of it, as one paragraph."""
        return f"{self.path or 'The payload'} {self.what}. {self.why} {self.fix}"

    def below(self, segment: str) -> Change:
        """Return the same change of what holds it: `segment` is a name, or `[]` of a list."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return Change(f"{segment}{joint}{self.path}", self.kind, self.what)
