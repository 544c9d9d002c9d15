"""Trying dead letters with the present code, and planning a replay of just the fixed ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ucam_faas.backends.ports import Backends
from ucam_faas.clock import Clock
from ucam_faas.dashboard.query import Page, Query, RefusedError
from ucam_faas.dashboard.views.dead_letters import filter_query, selection, workbench_of
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.dead_letters.tries import Tried, Verdict, tries
from ucam_faas.dead_letters.workbench import Chosen, Workbench

MOST_TRIED, MOST_SECONDS = 2000, 30.0
"""In one page: it isn't made in the background, and the code may be slow."""
MOST_SHOWN = 200


def view(query: Query, backends: Backends) -> Page:
    """Decode and validate letters, with their edits, and show which are fixed."""
    bench = workbench_of(query, backends)
    if backends.parser is None:
        raise RefusedError("There is no code here to try dead letters with.")
    chosen = selection(query, backends, bench)
    results = _tried(bench, chosen.chosen, backends.parser, backends.clock)
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


def _tried(bench: Workbench, chosen: Chosen, parser: Parser, clock: Clock) -> list[Tried]:
    """Return the results of the first letters, without their data: those may have 10 MB each."""
    results: list[Tried] = []
    end = clock.monotonic() + MOST_SECONDS
    for tried in tries(bench.each(chosen), parser, content_of=bench.book.content):
        results.append(replace(tried, letter=replace(tried.letter, data=b"")))
        if len(results) == MOST_TRIED or clock.monotonic() >= end:
            break
    return results
