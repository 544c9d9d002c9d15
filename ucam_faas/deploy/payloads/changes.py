"""A change of a payload that old messages may not survive."""

from __future__ import annotations

from dataclasses import dataclass

FIX = (
    "Take both forms until no old message is left: an optional field, OLD | NEW, "
    "validation_alias=AliasChoices(NEW, OLD), in protobuf a new number. Or give the new form a "
    "task and a topic of its own."
)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A change.

    Args:
        path: such as `user.addresses[].zip`, or `prices.*` for the values of a map; empty: the
            payload itself.
        text: the change and its consequence for old messages, to read after the path.
    """

    path: str
    text: str

    @property
    def message(self) -> str:
        """The change and its fix, as one paragraph."""
        return f"{self.path or 'The payload'} {self.text}. {FIX}"

    def below(self, segment: str) -> Change:
        """Return the change with a longer path: `segment` is a name, or `[]` of a list."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return Change(f"{segment}{joint}{self.path}", self.text)
