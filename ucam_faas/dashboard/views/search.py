"""Search: an id of a message, a job or a run; an attribute; or the words of a message."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.dashboard.backends import Backends
from ucam_faas.dashboard.query import Page, Query, See, Values, path_of
from ucam_faas.dashboard.views.job_list import JobLine, note
from ucam_faas.dashboard.views.messages import MessagePage, page_of
from ucam_faas.jobs.rows import Row, key_of

MOST_JOBS = 20


def view(query: Query, backends: Backends) -> Page | See:
    """Go to the one thing that has an id, or show all that match."""
    text = query.args.get("q").strip()
    hits = list(_hits(text, backends)) if text else []
    rows = _jobs(text, backends) if text else []
    hits += [path_of("jobs", row.key.task, row.key.id) for row in rows]
    if len(hits) == 1:
        return See(hits[0])
    history, now = backends.history, 0.0 if backends.jobs is None else backends.jobs.store.now()
    lines = [JobLine(row, note(row, now, hidden=backends.hides_payloads)) for row in rows]
    page, where = MessagePage([], None), ""
    if text and history is not None:
        where = "attribute" if "=" in text else "text"
        page = page_of(history, Values(((where, text),)))
    values = {
        "query": query,
        "text": text,
        "jobs": lines,
        "hits": [hit for hit in hits if not hit.startswith("/jobs/")],
        "page": page,
        "where": where,
    }
    return Page("search.html", f"Search: {text}" if text else "Search", values)


def _hits(text: str, backends: Backends) -> Iterator[str]:
    """Yield the pages of the message and the run with an id."""
    if backends.history is None:
        return
    if backends.history.message(text) is not None:
        yield path_of("messages", text)
    elif backends.history.run(text) is not None:
        yield path_of("runs", text)


def _jobs(text: str, backends: Backends) -> list[Row]:
    """Return the jobs with an id, or the one with a task and an id, as in `charge/17`."""
    jobs = backends.jobs
    if jobs is None:
        return []
    rows = jobs.store.find(jobs.app, id=text, limit=MOST_JOBS)
    row = jobs.store.get(key_of(jobs.app, text)) if "/" in text else None
    return rows if row is None else [row, *rows]
