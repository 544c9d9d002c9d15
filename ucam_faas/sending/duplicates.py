"""A job that is sent while its id, or its unique key, is taken: the same again, or a conflict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.events.tracing import TRACE_ATTRIBUTES
from ucam_faas.exceptions import DuplicateJobError, JobConflictError
from ucam_faas.jobs.payloads.references import same_payload
from ucam_faas.jobs.rows import Row, value_of
from ucam_faas.publishing.payloads import is_same_value, same_fields
from ucam_faas.sending.drafts import Drafter


def check_same(kept: Row, row: Row, drafts: Drafter) -> None:
    """Refuse a job whose id or unique key is another's.

    Raises:
        JobConflictError: the payload of the id is another.
        DuplicateJobError: the unique key is taken, and the task says that this is an error.
    """
    if kept.key != row.key:
        if drafts.jobs.on_duplicate == "raise":
            raise DuplicateJobError(
                f"The job {kept.key.id!r} of {kept.key.task!r} has this unique key, and hasn't "
                "ended.",
                id=kept.key.id,
            )
        return
    task = drafts.task
    for name in ("payload", "attributes", "ordering_key"):
        old, new, same = getattr(kept, name), getattr(row, name), frozenset[str]()
        if name == "payload":
            if same_payload(kept, row) or (task and is_same_value(task, old, new)):
                continue
            same = same_fields(task, old, new) if task else same
            old, new = value_of(old), value_of(new)
        if name == "attributes":
            old, new = _without_trace(old), _without_trace(new)
        if old == new:
            continue
        fields = _different(old, new, same)
        differ = f" ({', '.join(map(repr, fields))} differs)" if fields else ""
        raise JobConflictError(
            f"The job {row.key.id!r} of {row.key.task!r} was sent with another {name}{differ}. An "
            "id belongs to one sending until its retention ends: use another id, or delete that "
            "job.",
            fields=fields,
        )


def _without_trace(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that make a sending another one: each has a trace of its own."""
    return {name: text for name, text in attributes.items() if name not in TRACE_ATTRIBUTES}


def _different(old: Any, new: Any, same: frozenset[str]) -> tuple[str, ...]:
    """Return the fields in which two objects differ; their values stay out of errors.

    Args:
        same: the fields that are equal even if one of the objects omits them.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        return ()
    both = old.keys() & new.keys()
    changed = {name for name in both if old[name] != new[name]}
    changed |= (old.keys() ^ new.keys()) - same
    return tuple(name for name in {**old, **new} if name in changed)
