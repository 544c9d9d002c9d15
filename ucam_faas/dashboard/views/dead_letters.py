"""Dead letters and failed jobs: their causes, a list, and actions on some or on all that match."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from ucam_faas.backends import letter_work
from ucam_faas.backends.ports import Backends
from ucam_faas.clock import SystemClock
from ucam_faas.dashboard.query import (
    Download,
    Page,
    Query,
    RefusedError,
    See,
    Values,
    pages,
    path_of,
)
from ucam_faas.dashboard.views import times
from ucam_faas.dashboard.views.jobs import with_value
from ucam_faas.dead_letters.filters import OPEN, Filter
from ucam_faas.dead_letters.letters import Kind, Letter, LetterState
from ucam_faas.dead_letters.plans import Plan
from ucam_faas.dead_letters.workbench import Chosen, Workbench

PATH = "/dead-letters"
PAGE = 50
SHOWN_REASONS = 3
ANY = "any"
FILTERS = ("task", "state", "fingerprint", "kind", "within", "until", "attribute", "text", "key")
STATES = [("", "waiting"), *((str(s), str(s)) for s in LetterState if s != "new"), (ANY, "any")]
HIDDEN = (
    "Values of payloads and attributes are hidden here, so no filter looks for them: it would tell "
    "who has which. Filter by task, cause, time or the name of an attribute."
)
NOTHING_SELECTED = "Nothing was done: select rows first, or choose “all that match”."
STATE_BUTTONS = {
    "handled": frozenset({LetterState.NEW}),
    "reopen": frozenset({LetterState.HANDLED}),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """The letters that an action is for.

    Args:
        chosen: a filter, or ids.
        count: of the letters.
        text: for people.
        pairs: the values of a form or a URL that select the same.
    """

    chosen: Chosen
    count: int
    text: str
    pairs: Sequence[tuple[str, str]]


def workbench_of(query: Query, backends: Backends) -> Workbench:
    """Return the workbench, whose journal names the person."""
    assert backends.workbench is not None, "the route needs it"
    bench: Workbench = backends.workbench
    if not query.who:
        return bench
    bench = copy(bench)
    bench.by = query.who
    return bench


def filter_of(args: Values, *, hidden: bool) -> tuple[Filter, tuple[str, ...]]:
    """Return the filter that a URL's query asks for, and sentences about values that are left out.

    Args:
        args: of the URL.
        hidden: payloads and attributes are hidden, so no filter may find out their values.
    """
    time = times.window(args, SystemClock().now().timestamp())
    problems, state = time.problems, args.get("state")
    states = OPEN
    if state == ANY:
        states = frozenset()
    elif state in frozenset(LetterState):
        states = frozenset({LetterState(state)})
    elif state:
        problems = (*problems, f"{state!r} isn't a state of dead letters.")
    kind, text, attributes = args.get("kind"), args.get("text"), args.all("attribute")
    if hidden and (text or any("=" in attribute for attribute in attributes)):
        problems, text, attributes = (*problems, HIDDEN), "", []
    return (
        Filter(
            task=args.get("task") or None,
            fingerprint=args.get("fingerprint") or None,
            states=states,
            kind=Kind(kind) if kind in frozenset(Kind) else None,
            since=time.since,
            until=time.until,
            attributes=tuple(attributes),
            text=text or None,
            key=args.get("key") or None,
        ),
        problems,
    )


def view(query: Query, backends: Backends) -> Page:
    """Show the causes, and a page of the letters that the URL's query chooses."""
    bench = workbench_of(query, backends)
    backends.letter_work.refresh(bench)
    chosen, problems = filter_of(query.args, hidden=backends.hides_payloads)
    rows = bench.letters(chosen, before=query.args.get("before") or None, limit=PAGE + 1)
    shown, has_more = pages(rows, PAGE)
    groups, mirrored = bench.groups(chosen), bench.mirrored()
    tasks = {task.needs.name for task in backends.tasks()} | {group.task for group in groups}
    values = {
        "query": query,
        "rows": shown,
        "reasons": _reasons(backends, shown),
        "next": shown[-1].id if has_more else None,
        "count": bench.count(chosen),
        "groups": groups,
        "mirrored": mirrored,
        "is_unread": mirrored is None and not rows,
        "mirror_problem": backends.letter_work.problem,
        "problems": problems,
        "tasks": with_value(sorted(tasks - {""}), query.args.get("task")),
        "states": STATES,
        "windows": times.CHOICES,
        "filters": filter_query(query.args),
        "is_filtered": any(query.args.has(name) for name in FILTERS),
        "can_reopen": query.args.get("state") in (LetterState.HANDLED.value, ANY),
        "can_wait": query.args.get("state") in ("", "new", ANY),
    }
    return Page("dead_letters.html", "Dead letters", values)


def _reasons(backends: Backends, letters: Sequence[Letter]) -> dict[str, str]:
    """Return the reasons of letters by their ids, as far as the history of a local cloud has them.

    They quote the exception; the letters themselves have only its cause, which many share.
    """
    history = backends.history
    if history is None or backends.hides_payloads:
        return {}
    return {
        letter.id: row.reason
        for letter in letters
        if letter.original_id
        for row in history.deliveries(letter.original_id)
        if row.letter_id == letter.message_id and row.reason
    }


def filter_query(args: Values) -> str:
    """Return the filters of a URL as its query, without the place in the list."""
    return urlencode([(name, text) for name, text in args.pairs if name in FILTERS and text])


def mirror(query: Query, backends: Backends) -> See:
    """Copy all dead letters and failed jobs now."""
    if not backends.mirrors:
        raise RefusedError("There is no Pub/Sub to look at: start `ucam-faas dev` here.")
    done = backends.letter_work.look(workbench_of(query, backends))
    text = f"{_letters(done.pulled)} {_is(done.pulled)} there: {done.new} new, {done.gone} gone."
    return See(_back(query), " ".join([text, *done.problems]))


def selection(query: Query, backends: Backends, bench: Workbench) -> Selection:
    """Return the letters that a form selects: rows, or all that match the URL's query.

    Raises:
        RefusedError: none.
    """
    values = query.form if query.form.pairs else query.args
    if values.get("scope") == "all":
        chosen, problems = filter_of(query.args, hidden=backends.hides_payloads)
        if problems:
            raise RefusedError(" ".join(problems))
        pairs = [(name, text) for name, text in query.args.pairs if name in FILTERS and text]
        text = filter_text(query.args)
        return Selection(chosen, bench.count(chosen), text, [*pairs, ("scope", "all")])
    ids = list(dict.fromkeys(values.all("id")))
    if not ids:
        raise RefusedError(NOTHING_SELECTED)
    return Selection(ids, len(ids), "the selected ones", [("id", id) for id in ids])


def _is_empty(form: Values) -> bool:
    """Return True if a form of the list selects no letters."""
    return form.get("scope") != "all" and not form.has("id")


def filter_text(args: Values) -> str:
    """Return the filters of a URL for people."""
    texts = [f"{name} {text}" for name, text in args.pairs if name in FILTERS and text]
    return f"all with {', '.join(texts)}" if texts else "all that wait"


def act(query: Query, backends: Backends) -> Page | See | Download:
    """Do what a button of the list says with the letters that are selected."""
    bench = workbench_of(query, backends)
    action = query.form.get("do")
    if _is_empty(query.form):
        return See(_back(query), NOTHING_SELECTED)
    chosen = selection(query, backends, bench)
    if action == "plan":
        plan = bench.plan(chosen.chosen, again=query.form.has("again"))
        if not plan.total:
            bench.drop(plan.id)
            return See(_back(query), _nothing_to_send(plan))
        return See(path_of("dead-letters", "plans", plan.id))
    if action == "handled":
        count = bench.handled(chosen.chosen, query.form.get("note"))
        return See(_back(query), f"{_letters(count)} {_is(count)} handled.")
    if action == "reopen":
        count = bench.reopen(chosen.chosen)
        return See(_back(query), f"{_letters(count)} {_wait(count)} again.")
    if action == "purge":
        return See(f"{PATH}/purge?{urlencode(chosen.pairs)}")
    if action == "try":
        return See(f"{PATH}/try?{urlencode(chosen.pairs)}")
    raise RefusedError(f"There is no such action: {action!r}.")


def _nothing_to_send(plan: Plan) -> str:
    if not plan.excluded:
        return "Nothing to send: no letter matches any more."
    reasons = [f"{_letters(count)}: {reason}." for reason, count in plan.reasons.items()]
    more = len(reasons) - SHOWN_REASONS
    shown = " ".join(reasons[:SHOWN_REASONS]) + f" And {more} other reasons." * (more > 0)
    return f"Nothing to send. Left out: {shown}"


def confirm_purge(query: Query, backends: Backends) -> Page:
    """Ask before letters are acknowledged without a replay."""
    bench = workbench_of(query, backends)
    chosen = selection(query, backends, bench)
    as_filter = _as_filter(chosen.chosen)
    values = {
        "selection": chosen,
        "groups": bench.groups(as_filter),
        "back": f"{PATH}?{filter_query(query.args)}",
        "query": query,
    }
    return Page("purge.html", f"Purge {_letters(chosen.count)}?", values)


def purge(query: Query, backends: Backends) -> See:
    """Acknowledge letters without a replay, and delete failed jobs."""
    bench = workbench_of(query, backends)
    chosen = selection(query, backends, bench)
    if query.form.get("count") != str(chosen.count):
        raise RefusedError(
            f"Nothing was purged: by now {_letters(chosen.count)} match. Look at them again."
        )
    with backends.letter_work.holding(letter_work.PATIENCE_SECONDS):
        count = bench.purge(chosen.chosen)
    return See(_back(query), f"{_letters(count)} {_is(count)} purged; .ucam-faas/ keeps a copy.")


def archive(query: Query, backends: Backends) -> Download | See:
    """Return letters as a file, with everything that is needed to publish them again."""
    if _is_empty(query.form):
        return See(_back(query), NOTHING_SELECTED)
    bench = workbench_of(query, backends)
    chosen = selection(query, backends, bench)
    with tempfile.TemporaryDirectory(prefix="ucam-faas-") as folder:
        path = Path(folder) / "dead-letters.jsonl"
        if not bench.archive(chosen.chosen, path):
            return See(_back(query), NOTHING_SELECTED)
        return Download(path.open("rb"), path.name)  # its name goes now, its content when closed


def _as_filter(chosen: Chosen) -> Filter:
    return chosen if isinstance(chosen, Filter) else Filter.of_ids(chosen)


def _back(query: Query) -> str:
    filters = filter_query(query.args)
    return f"{PATH}?{filters}" if filters else PATH


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'s' * (count != 1)}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"
