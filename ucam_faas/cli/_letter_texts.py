"""Dead letters, causes, plans and runs for people.

Payloads and the values of attributes are personal data: they are shown where the caller says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.actions.payloads import shown
from ucam_faas.dead_letters.documents import attributes_json
from ucam_faas.dead_letters.groups import Group
from ucam_faas.dead_letters.journal import Entry
from ucam_faas.dead_letters.letters import Content, Kind, Letter, own_attributes
from ucam_faas.dead_letters.plans import Plan, RowState
from ucam_faas.dead_letters.run_log import Report
from ucam_faas.logs.columns import printable
from ucam_faas.logs.durations import duration_text
from ucam_faas.logs.times import time_text

CAUSES = ("CAUSE", "TASK", "LETTERS", "LAST", "WHY")
LETTERS = ("LETTER", "TASK", "DIED", "STATE", "WHY")
PLANS = ("PLAN", "MADE", "LETTERS", "DONE", "LEFT OUT", "NOTE")
SHORT_CAUSE = 10
"""Characters of a fingerprint in a list, if they tell the causes apart."""
UNKNOWN = "(unknown)"
"""The task of a letter that doesn't name it."""
MOST_LINES = 40
"""Lines of a payload, and of the edits of a plan."""
FORWARDED = "forwarded by Pub/Sub: it gives no reason"


def group_columns(groups: Sequence[Group], now: float) -> list[tuple[str, ...]]:
    """Return the texts of causes below CAUSES."""
    length = telling([group.fingerprint for group in groups])
    return [
        (
            group.fingerprint[:length],
            printable(group.task) or UNKNOWN,
            f"{group.count:,}",
            _ago(group.last, now),
            why(group),
        )
        for group in groups
    ]


def telling(texts: Sequence[str]) -> int:
    """Return how many first characters tell texts apart."""
    length = SHORT_CAUSE
    while len({text[:length] for text in texts}) < len(set(texts)):
        length += 4
    return length


def letter_columns(letter: Letter, now: float) -> tuple[str, ...]:
    """Return the texts of a letter below LETTERS."""
    edited = ", edited" if letter.edited else ""
    state = f"{letter.state}{edited}"
    return (
        printable(letter.id),
        printable(letter.task) or UNKNOWN,
        _ago(letter.time, now),
        state,
        why(letter),
    )


def why(cause: Letter | Group) -> str:
    """Return the reason for a death in one line."""
    text = cause.error or cause.reason or FORWARDED
    return printable(text)


def details(letter: Letter, now: float, *, reveal: bool) -> str:
    """Return a letter for people, as it died.

    Args:
        letter: with its data.
        now: in epoch seconds.
        reveal: with payload and attributes; else with their types and lengths.
    """
    state = f"{letter.state} by {letter.by}" if letter.by else str(letter.state)
    kind = "failed job" if letter.kind is Kind.JOB else "dead letter"
    attempts = f", after {letter.attempts} attempts" if letter.attempts > 1 else ""
    first = letter.first_attempt
    facts = [
        ("died", f"{time_text(letter.time)}, {_ago(letter.time, now)}{attempts}"),
        ("first try", time_text(first) if first is not None else ""),
        ("sent", time_text(letter.sent)),
        ("reason", letter.reason or FORWARDED),
        ("error", letter.error),
        ("cause", letter.fingerprint),
        ("message", letter.original_id),
        ("job", letter.job),
        ("key", (letter.key if reveal else "…") if letter.key else ""),
        ("replays", str(letter.replays) if letter.replays else ""),
        ("note", letter.note),
    ]
    title = f"{letter.id}, {kind} of {letter.task or 'an unknown task'}: {state}"
    lines = [printable(title)]
    lines += [f"{name:<12}{printable(text)}" for name, text in facts if text]
    lines += _block("attributes", _attribute_lines(letter, reveal=reveal))
    lines += _block("payload", _payload_lines(letter.data, reveal=reveal))
    return "\n".join(lines)


def _attribute_lines(letter: Letter, *, reveal: bool) -> list[str]:
    own = attributes_json(own_attributes(letter.attributes), reveal=reveal)
    return [f"{key}={value}" if reveal else f"{key}: {value}" for key, value in own.items()]


def _payload_lines(data: bytes, *, reveal: bool) -> list[str]:
    view = shown(data, hidden=not reveal)
    lines = view.text.splitlines()
    return lines if reveal or not data else [*lines, "--reveal shows the values"]


def _block(name: str, lines: Sequence[str]) -> list[str]:
    shown = [printable(line) for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        shown.append(f"… {len(lines) - MOST_LINES:,} more lines; --json has all")
    leads = [name, *[""] * len(shown)][: len(shown)]
    return [f"{lead:<12}{line}" for lead, line in zip(leads, shown, strict=True)]


def edited_parts(before: Content, after: Content) -> str:
    """Return what an edit has changed, without values."""
    parts = []
    if before.attributes != after.attributes:
        parts.append("other attributes")
    if before.data != after.data:
        parts.append("another payload")
    return " and ".join(parts)


def entry_text(entry: Entry, *, letter: bool = False) -> str:
    """Return a line of the journal for people; `letter`: with the id of its letter."""
    what = f"{entry.what} {entry.letter}" if letter and entry.letter else entry.what
    by = f" by {entry.by}" if entry.by else ""
    first = entry.detail.splitlines()[0] if entry.detail else ""
    detail = f": {printable(first)}" if first and entry.what != "edited" else ""
    plan = f", plan {entry.plan}" if entry.plan else ""
    return f"{time_text(entry.time)}  {printable(what)}{by}{plan}{detail}"


def plan_text(plan: Plan) -> str:
    """Return what a plan sends and leaves out, for people."""
    lines = ["Nothing is sent."]
    if plan.total:
        lines = [f"Plan {plan.id} sends {letters(plan.total)}:"]
    for task, targets in sorted(plan.targets.items()):
        lines += [f"  {task}: {target}" for target in targets]
    if plan.edited:
        lines.append(f"{letters(plan.edited)} {'is' if plan.edited == 1 else 'are'} edited.")
    if plan.excluded:
        lines += excluded_lines(plan)
    return "\n".join(map(printable, lines)) if plan.total or plan.excluded else _EMPTY


def excluded_lines(plan: Plan) -> list[str]:
    """Return which letters a plan leaves out, for people."""
    lines = [f"It leaves out {letters(plan.excluded)}:" if plan.total else "Left out:"]
    lines += [f"  {count:,}: {reason}" for reason, count in sorted(plan.reasons.items())]
    return list(map(printable, lines))


_EMPTY = "There are no dead letters like that: nothing to send."


def plan_columns(plan: Plan, now: float) -> tuple[str, ...]:
    """Return the texts of a plan below PLANS."""
    done = plan.counts.get(RowState.ACKED, 0)
    note = "cancelled" if plan.is_cancelled else printable(plan.problem)
    if plan.uncertain:
        note = f"{plan.uncertain:,} may have been sent{'; ' * bool(note)}{note}"
    out = f"{plan.excluded:,}" if plan.excluded else ""
    return plan.id, _ago(plan.created, now), f"{plan.total:,}", f"{done:,}", out, note


def report_text(report: Report, before: Plan) -> str:
    """Return how far a run is, for people; `before`: its plan as the run began."""
    if not report.total:
        return "Nothing was sent."
    if not before.left and not before.uncertain:
        sent = f"All {letters(report.total)} of this plan were"
        if report.total == 1:
            sent = "The letter of this plan was"
        return f"{sent} sent before; nothing was sent now."
    if not report.left and not report.given_up:
        return f"Sent {letters(report.total)} again; all are acknowledged."
    parts = [f"{report.acked:,} of {letters(report.total)} sent and acknowledged"]
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if report.given_up:
        whose = "its dead letter is" if report.given_up == 1 else "their dead letters are"
        parts.append(f"{report.given_up:,} may have been sent: {whose} gone")
    if not report.left:
        return f"{', '.join(parts)}."
    why = " It was cancelled." if report.is_cancelled else ""
    why = f" It stopped: {report.problem.rstrip('.')}." if report.problem else why
    return (
        f"{', '.join(parts)}; {report.left:,} left.{why}\n"
        f"To go on: ucam-faas dlq replay --plan {report.plan}"
    )


def letters(number: int) -> str:
    """Return a number of letters in words.

    >>> letters(1), letters(3000)
    ('1 letter', '3,000 letters')
    """
    return f"{number:,} letter{'s' * (number != 1)}"


def _ago(time: float, now: float) -> str:
    return f"{duration_text(max(0.0, now - time))} ago"
