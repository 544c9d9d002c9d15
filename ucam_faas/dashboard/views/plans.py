"""Plans of replays: the dry run, running one, its progress, stopping it and going on."""

from __future__ import annotations

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, PageNotFoundError, Query, RefusedError, See, path_of
from ucam_faas.dashboard.views.dead_letters import workbench_of
from ucam_faas.dead_letters.plans import Plan, RowState
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import ConfigurationError

ROWS = 50
MOST_RATE = 100_000.0


def listing(query: Query, backends: Backends) -> Page:
    """Show the plans, the latest first."""
    plans = workbench_of(query, backends).plans(limit=100)
    running = {plan.id for plan in plans if backends.letter_work.runs(plan.id)}
    return Page("plans.html", "Replays", {"plans": plans, "running": running})


def view(query: Query, backends: Backends) -> Page:
    """Show a plan: its rows, what it leaves out, and how far a run is."""
    bench = workbench_of(query, backends)
    plan = _plan(bench, query.parts["id"])
    after = query.args.number("after") or 0
    excluded_after = query.args.number("excluded") or 0
    rows = bench.rows(plan.id, after=after, limit=ROWS + 1)
    exclusions = bench.exclusions(plan.id, after=excluded_after, limit=ROWS + 1)
    shown = rows[:ROWS]
    diffs = {}
    if not backends.hides_payloads:
        diffs = {row.letter: bench.diff(row.letter).lines for row in shown if row.edited}
    values = {
        "query": query,
        "plan": plan,
        "url": path_of("dead-letters", "plans", plan.id),
        "states": [(s, plan.counts[s]) for s in RowState if plan.counts.get(s)],
        "done": plan.counts.get(RowState.ACKED, 0),
        "rows": shown,
        "diffs": diffs,
        "next": shown[-1].position if len(rows) > ROWS else None,
        "exclusions": exclusions[:ROWS],
        "next_excluded": excluded_after + ROWS if len(exclusions) > ROWS else None,
        "running": backends.letter_work.runs(plan.id),
        "problem": backends.letter_work.problem_of(plan.id) or plan.problem,
        "journal": bench.journal(letter="", plan=plan.id, limit=20),
    }
    return Page("plan.html", f"Replay {plan.id}", values)


def run(query: Query, backends: Backends) -> See:
    """Begin to run a plan, or go on."""
    bench = workbench_of(query, backends)
    plan = _plan(bench, query.parts["id"])
    is_new = backends.letter_work.start(bench, plan.id, _rate(query.form.get("rate")))
    return See(path_of("dead-letters", "plans", plan.id), "" if is_new else "It runs already.")


def cancel(query: Query, backends: Backends) -> See:
    """Stop a run before its next letters."""
    bench = workbench_of(query, backends)
    plan = _plan(bench, query.parts["id"])
    backends.letter_work.cancel(bench, plan.id)
    return See(path_of("dead-letters", "plans", plan.id), "It stops before the next letters.")


def _plan(bench: Workbench, id: str) -> Plan:
    try:
        return bench.plan_of(id)
    except ConfigurationError as error:
        raise PageNotFoundError(str(error)) from error


def _rate(text: str) -> float | None:
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= MOST_RATE:
        raise RefusedError(f"Letters per second: {text!r} isn't a number above 0.")
    return rate
