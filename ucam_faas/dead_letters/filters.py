"""The letters that a filter chooses, as a condition of SQL: all that match, and not a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ucam_faas.dead_letters.letters import Kind, LetterState

LAST = "\U0010ffff"
"""The character after all others."""
OPEN = frozenset({LetterState.NEW})
"""The states of letters that wait for a person."""
_JOBS = "number IN (SELECT number FROM letters WHERE job <> '' AND kind = ?)"
"""Reads the jobs alone, by their index: there may be many more messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Chooses letters; each given argument leaves some out.

    Args:
        task: the name of the task.
        fingerprint: of the cause, or its beginning.
        states: what has been done about them; none: anything.
        kind: messages or jobs.
        since: the earliest time of the death, in epoch seconds.
        until: the time before which they died.
        attributes: each `KEY=VALUE`, or `KEY` for any value.
        text: in the data, an attribute, the reason, the error or an id; capitals don't matter
            among A to Z.
        key: the ordering key.
        ids: of the letters; None: any.
    """

    task: str | None = None
    fingerprint: str | None = None
    states: frozenset[LetterState] = OPEN
    kind: Kind | None = None
    since: float | None = None
    until: float | None = None
    attributes: Sequence[str] = field(default_factory=tuple)
    text: str | None = None
    key: str | None = None
    ids: Sequence[str] | None = None

    @classmethod
    def of_ids(cls, ids: Sequence[str]) -> Filter:
        """Return the filter that chooses letters by their ids, in any state."""
        return cls(ids=tuple(ids), states=frozenset())

    @property
    def narrows(self) -> bool:
        """Return True if it chooses by more than the state."""
        return self != Filter(states=self.states)

    def __str__(self) -> str:
        """Describe it for people, such as `task charge, new`."""
        parts = []
        if self.ids is not None:
            parts = [f"{len(self.ids)} letter{'s' * (len(self.ids) != 1)} named by id"]
        for name in ("task", "fingerprint", "kind", "text", "key"):
            if value := getattr(self, name):
                parts.append(f"{name} {value}")
        parts += self.attributes
        for name in ("since", "until"):
            if (time := getattr(self, name)) is not None:
                moment = datetime.fromtimestamp(time, UTC)
                parts.append(f"{name} {moment.isoformat(' ', 'seconds')}")
        return ", ".join([*parts, *sorted(self.states)]) or "all"

    def condition(self) -> tuple[str, list[object]]:
        """Return a condition on the table `letters`, and its parameters."""
        cause = self.fingerprint or None
        parts: list[tuple[str, list[object]]] = [
            ("task = ?", [self.task]),
            ("fingerprint BETWEEN ? AND ?", [cause, cause and f"{cause}{LAST}"]),
            (_JOBS if self.kind is Kind.JOB else "kind = ?", [self.kind]),
            ("time >= ?", [self.since]),
            ("time < ?", [self.until]),
            ("key = ?", [self.key]),
        ]
        parts = [part for part in parts if part[1][-1] is not None]
        if self.states:
            among = ", ".join("?" * len(self.states))
            parts.append((f"state IN ({among})", [*sorted(self.states)]))
        if self.ids is not None:
            chosen = "id IN (SELECT value FROM json_each(?))"
            parts.append((chosen, [json.dumps(list(self.ids))]))
        parts += map(_attribute, self.attributes)
        if self.text:
            parts.append(_text(self.text))
        if not parts:
            return "1", []
        return (
            " AND ".join(f"({sql})" for sql, _ in parts),
            [value for _, values in parts for value in values],
        )


def _attribute(text: str) -> tuple[str, list[object]]:
    key, equals, value = text.partition("=")
    each = "EXISTS (SELECT 1 FROM json_each(attributes) AS a WHERE a.key = ?"
    return (f"{each} AND a.value = ?)", [key, value]) if equals else (f"{each})", [key])


_LIKE = "{} LIKE ? ESCAPE '\\'"
_SEARCHED = ("id", "original_id", "job", "reason", "error", "key", "note")


def _text(text: str) -> tuple[str, list[object]]:
    """Return the condition for a text; JSON may have it with escapes."""
    forms = list(dict.fromkeys([text, json.dumps(text)[1:-1]]))
    patterns = [f"%{_escaped(form)}%" for form in forms]
    short = [_LIKE.format(name) for name in _SEARCHED]
    attributes = [_LIKE.format("attributes") for _ in patterns]
    data = " OR ".join(_LIKE.format("CAST(b.data AS TEXT)") for _ in patterns)
    body = f"EXISTS (SELECT 1 FROM bodies AS b WHERE b.letter = letters.number AND ({data}))"
    values: list[object] = [*patterns[:1] * len(short), *patterns, *patterns]
    return " OR ".join([*short, *attributes, body]), values


def _escaped(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return text
