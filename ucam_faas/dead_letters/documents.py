"""Dead letters, causes, plans and runs as JSON.

Payloads and the values of attributes are personal data: they are shown where the caller says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ucam_faas.actions.payloads import payload_json
from ucam_faas.dead_letters.groups import Group
from ucam_faas.dead_letters.journal import Entry
from ucam_faas.dead_letters.letters import Content, Letter
from ucam_faas.dead_letters.plans import Excluded, Plan, Row
from ucam_faas.dead_letters.run_log import Report
from ucam_faas.logs.times import utc_text


def group_json(group: Group) -> dict[str, Any]:
    """Return a cause as JSON."""
    return {
        "fingerprint": group.fingerprint,
        "task": group.task,
        "error": group.error,
        "reason": group.reason,
        "letters": group.count,
        "first": utc_text(group.first),
        "last": utc_text(group.last),
        "sample": group.sample,
    }


def letter_json(letter: Letter, *, data: Content | None = None, reveal: bool = False) -> Any:
    """Return a letter as JSON.

    Args:
        letter: without its data, unless they are wanted.
        data: what a replay sends; None: without payload and attributes.
        reveal: with values; else with their types and lengths.
    """
    document: dict[str, Any] = {
        "id": letter.id,
        "kind": letter.kind,
        "task": letter.task,
        "state": letter.state,
        "reason": letter.reason,
        "error": letter.error,
        "fingerprint": letter.fingerprint,
        "sent": utc_text(letter.sent),
        "first_attempt": utc_text(letter.first_attempt),
        "last_attempt": utc_text(letter.last_attempt),
        "died": utc_text(letter.time),
        "attempts": letter.attempts,
        "replays": letter.replays,
        "message_id": letter.message_id,
        "original_id": letter.original_id,
        "subscription": letter.subscription,
        "keeper": letter.keeper,
        "job": letter.job,
        "ordering_key": letter.key,
        "bytes": letter.size,
        "edited": letter.edited,
        "note": letter.note,
        "by": letter.by,
        "changed": utc_text(letter.changed),
    }
    if data is not None:
        document["attributes"] = attributes_json(data.attributes, reveal=reveal)
        document |= payload_json(data.data, reveal=reveal)
    return document


def attributes_json(attributes: Mapping[str, str], *, reveal: bool) -> dict[str, Any]:
    """Return attributes as JSON: their values, or the lengths of these."""
    return {key: text if reveal else f"string of {len(text)}" for key, text in attributes.items()}


def entry_json(entry: Entry, *, reveal: bool) -> dict[str, Any]:
    """Return a line of the journal as JSON; the details of an edit hold values."""
    return {
        "time": utc_text(entry.time),
        "by": entry.by,
        "what": entry.what,
        "letter": entry.letter,
        "plan": entry.plan,
        "detail": entry.detail if reveal or entry.what != "edited" else "",
    }


def plan_json(
    plan: Plan, rows: Iterable[Row] | None = None, excluded: Iterable[Excluded] | None = None
) -> dict[str, Any]:
    """Return a plan as JSON, with its rows and the letters that it leaves out if they are given."""
    document: dict[str, Any] = {
        "id": plan.id,
        "created": utc_text(plan.created),
        "by": plan.by,
        "chosen": plan.text,
        "letters": plan.total,
        "counts": {str(state): count for state, count in plan.counts.items()},
        "targets": {task: list(targets) for task, targets in plan.targets.items()},
        "edited": plan.edited,
        "left_out": plan.excluded,
        "reasons": dict(plan.reasons),
        "cancelled": plan.is_cancelled,
        "problem": plan.problem,
    }
    if rows is not None:
        document["rows"] = [_row_json(row) for row in rows]
    if excluded is not None:
        document["excluded"] = [{"letter": each.letter, "reason": each.reason} for each in excluded]
    return document


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "letter": row.letter,
        "task": row.task,
        "target": str(row.target),
        "edited": row.edited,
        "replay_id": row.replay_id,
        "state": row.state,
        "message_id": row.message_id,
        "reason": row.reason,
    }


def report_json(report: Report) -> dict[str, Any]:
    """Return how far a run is as JSON."""
    return {
        "plan": report.plan,
        "letters": report.total,
        "sent": report.sent,
        "acknowledged": report.acked,
        "failed": report.failed,
        "uncertain": report.uncertain,
        "left": report.left,
        "cancelled": report.is_cancelled,
        "problem": report.problem,
    }
