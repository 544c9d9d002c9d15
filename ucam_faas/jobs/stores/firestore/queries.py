"""The structured queries of the store; `firestore.indexes.json` has an index for each.

Source: Google's page "StructuredQuery" of the REST reference.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.firestore.rows import JOBS, LANES, SENT, SHARDS, SWEEP
from ucam_faas.jobs.stores.firestore.values import encoded

MAX_IN = 30
"""Values that an IN may have; SHARDS times the states has to stay below, too."""
Query = dict[str, Any]
_ALL_SHARDS = list(range(SHARDS))


def overdue(app: str, now: float, limit: int) -> Query:
    """Select the jobs that an application's sweep has to look at, the most overdue first."""
    filters = [_filter("app", "EQUAL", app), _filter("shard", "IN", _ALL_SHARDS)]
    filters.append(_filter("sweep", "LESS_THAN_OR_EQUAL", now))
    return _query(filters, ["sweep"], limit=limit) | _select(SWEEP)


def latest(
    app: str,
    task: str | None,
    states: Collection[State],
    since: float | None,
    until: float | None,
    after: tuple[float, str] | None,
    limit: int,
) -> Query:
    """Select the latest jobs of an application.

    Args:
        after: the time of sending and the document's name of the last one before these; None:
            begin.
    """
    filters = [_filter("app", "EQUAL", app), _filter("shard", "IN", _ALL_SHARDS)]
    if task is not None:
        filters.append(_filter("task", "EQUAL", task))
    if states:
        filters.append(_filter("state", "IN", [state.value for state in states]))
    if since is not None:
        filters.append(_filter("created", "GREATER_THAN_OR_EQUAL", since))
    if until is not None:
        filters.append(_filter("created", "LESS_THAN", until))
    query = _query(filters, ["created", "__name__"], "DESCENDING", limit)
    if after is None:
        return query
    created, name = after
    return query | _start_after(encoded(created), {"referenceValue": name})


def with_id(id: str) -> Query:
    """Select the jobs with an id, of any task and application."""
    return _query([_filter("id", "EQUAL", id)])


def pending(app: str, task: str) -> Query:
    """Select the jobs of a task that are PENDING."""
    fields = {"app": app, "task": task, "state": State.PENDING.value}
    return _query([_filter(name, "EQUAL", value) for name, value in fields.items()])


def live(ids: Sequence[str]) -> Query:
    """Select those of some jobs, by their documents' ids, that haven't ended."""
    return _query([_filter("live", "IN", list(ids))])


def ended(ids: Sequence[str]) -> Query:
    """Select those of some jobs, by their documents' ids, that have ended."""
    return _query([_filter("ended", "IN", list(ids))])


def live_members(batch_id: str) -> Query:
    """Select the members of a batch that haven't ended."""
    return _query([_filter("live_in", "EQUAL", batch_id)])


def members_in(batch_id: str, state: State) -> Query:
    """Select the members of a batch that are in a state."""
    return _query([_filter("batch", "EQUAL", batch_id), _filter("state", "EQUAL", state.value)])


def members(batch_id: str, after: str | None, limit: int) -> Query:
    """Select members of a batch; see `_by_name`."""
    return _by_name("batch", batch_id, after, limit)


def children(parent_id: str, after: str | None, limit: int) -> Query:
    """Select the jobs that a job sent; see `_by_name`."""
    return _by_name("parent", parent_id, after, limit)


def _by_name(field: str, value: str, after: str | None, limit: int) -> Query:
    """Select jobs by a field, in the order of their documents' names.

    Args:
        after: the name of the last one before these; None: begin.
    """
    query = _query([_filter(field, "EQUAL", value)], ["__name__"], limit=limit)
    if after is None:
        return query
    return query | _start_after({"referenceValue": after})


def of_limit(
    limit_id: str, states: Collection[State], ready: tuple[str, float] | None, limit: int
) -> Query:
    """Select the first jobs of a limit's key that are in some states, in the order of sending.

    Args:
        ready: an operator, and the time with which it compares when they may start; None: any.
    """
    filters = [_filter("limit", "EQUAL", limit_id)]
    filters.append(_filter("state", "IN", [state.value for state in states]))
    if ready is not None:
        filters.append(_filter("ready", *ready))
    query = _query(filters, [SENT, "created", "ready"], limit=limit)
    return query | _select(("id", "state", SENT, "created", "data.expires", "data.lane"))


def paused_lanes(app: str) -> Query:
    """Select the paused lanes of an application."""
    return {"from": [{"collectionId": LANES}], "where": _filter("app", "EQUAL", app)}


def _query(
    filters: list[Query], order: Sequence[str] = (), direction: str = "ASCENDING", limit: int = 0
) -> Query:
    query: Query = {
        "from": [{"collectionId": JOBS}],
        "where": {"compositeFilter": {"op": "AND", "filters": filters}},
    }
    if order:
        query["orderBy"] = [{"field": _path(path), "direction": direction} for path in order]
    if limit:
        query["limit"] = limit
    return query


def _start_after(*values: Query) -> Query:
    return {"startAt": {"values": list(values), "before": False}}


def _select(paths: Sequence[str]) -> Query:
    return {"select": {"fields": [_path(path) for path in paths]}}


def _path(path: str) -> Query:
    return {"fieldPath": path}


def _filter(field: str, operator: str, value: Any) -> Query:
    operands = {"field": _path(field), "op": operator, "value": encoded(value)}
    return {"fieldFilter": operands}
