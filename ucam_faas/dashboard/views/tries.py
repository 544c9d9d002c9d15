"""Trying dead letters with the present code, and planning a replay of just the fixed ones."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from ucam_faas.dashboard.backends import Backends
from ucam_faas.dashboard.query import Page, Query, RefusedError
from ucam_faas.dashboard.views.dead_letters import filter_query, selection, workbench_of
from ucam_faas.dead_letters.tries import Verdict, tries

MOST_TRIED = 2000
"""In one page: it isn't made in the background."""
MOST_SHOWN = 200


def view(query: Query, backends: Backends) -> Page:
    """Decode and validate letters, with their edits, and show which are fixed."""
    bench = workbench_of(query, backends)
    if backends.parser is None:
        raise RefusedError("There is no code here to try dead letters with.")
    chosen = selection(query, backends, bench)
    letters = islice(bench.each(chosen.chosen), MOST_TRIED)
    results = list(tries(letters, backends.parser, content_of=bench.book.content))
    counts = Counter(result.verdict for result in results)
    results.sort(key=lambda result: result.verdict in (Verdict.FIXED, Verdict.UNTESTED))
    values = {
        "query": query,
        "selection": chosen,
        "counts": [(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]],
        "results": results[:MOST_SHOWN],
        "untested": counts[Verdict.UNTESTED],
        "fixed": [r.letter.id for r in results if r.verdict is Verdict.FIXED],
        "tried": len(results),
        "filters": filter_query(query.args),
        "shows": not backends.hides_payloads,
    }
    return Page("tries.html", "Try with the present code", values)
