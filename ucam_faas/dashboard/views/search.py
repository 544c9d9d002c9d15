"""Search: an id of a message, a run, a job or a dead letter; an attribute; or words of messages."""

from __future__ import annotations

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Page, Query, See, Values, path_of
from ucam_faas.dashboard.views.job_list import JobLine, note
from ucam_faas.dashboard.views.letters import LetterPages, letters_of
from ucam_faas.dashboard.views.messages import MessagePage, page_of
from ucam_faas.jobs.rows import Row, key_of

MOST_JOBS = 20


def view(query: Query, backends: Backends) -> Page | See:
    """Go to the one thing that has an id, or show all that match."""
    text = query.args.get("q").strip()
    rows = _jobs(text, backends) if text else []
    hits = _hits(text, backends) if text else []
    letters = LetterPages()
    if text and not (hits or rows):
        letters = letters_of(backends, text)
        hits = list(letters.paths)
    places = hits + [path_of("jobs", row.key.task, row.key.id) for row in rows]
    if len(places) == 1:
        return See(places[0])
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
        "hits": hits,
        "letters": letters,
        "page": page,
        "where": where,
    }
    return Page("search.html", f"Search: {text}" if text else "Search", values)


def _hits(text: str, backends: Backends) -> list[str]:
    """Return the page of the message, or of the run, with an id."""
    history = backends.history
    if history is not None and history.message(text) is not None:
        return [path_of("messages", text)]
    if history is not None and history.run(text) is not None:
        return [path_of("runs", text)]
    return []


def _jobs(text: str, backends: Backends) -> list[Row]:
    """Return the jobs with an id, or the one with a task and an id, as in `charge/17`."""
    jobs = backends.jobs
    if jobs is None:
        return []
    rows = jobs.store.find(jobs.app, id=text, limit=MOST_JOBS)
    row = jobs.store.get(key_of(jobs.app, text)) if "/" in text else None
    return rows if row is None else [row, *rows]
