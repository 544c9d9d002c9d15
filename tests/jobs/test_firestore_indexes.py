"""Every query of the store has its index. The emulator makes up the indexes that it needs, so the
rules of Google's page "Index types" are checked here.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.firestore import Firestore
from ucam_faas.cli import main
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores.firestore import queries
from ucam_faas.jobs.stores.firestore.indexes import commands, definition
from ucam_faas.jobs.stores.firestore.rows import JOBS, fields_of

QUERIES = {
    "overdue": queries.overdue("app", 0.0, 10),
    "with id": queries.with_id("1"),
    "pending": queries.pending("app", "task"),
    "live": queries.live(["a"] * queries.MAX_IN),
    "ended": queries.ended(["a"] * queries.MAX_IN),
    "held": queries.of_limit("a", (State.STARTED,), ("GREATER_THAN", 0.0), 10),
    "ready": queries.of_limit("a", (State.PENDING,), ("LESS_THAN_OR_EQUAL", 0.0), 10),
    "in order": queries.of_limit("a", LIVE, None, 10),
} | {
    f"latest {task} {len(states)} {since}": queries.latest(
        "app", task, states, since, None, None, 10
    )
    for task, states, since in product((None, "task"), ([], list(State)), (None, 0.0))
}
INDEXES = definition()["indexes"]
OVERRIDES = {field["fieldPath"]: field for field in definition()["fieldOverrides"]}
DISJUNCTIONS = 30


def filters_of(query: dict[str, Any]) -> list[dict[str, Any]]:
    composite = query["where"]["compositeFilter"]["filters"]
    return [filter["fieldFilter"] for filter in composite]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_has_an_index(query: dict[str, Any]) -> None:
    filters = filters_of(query)
    equal = {f["field"]["fieldPath"] for f in filters if f["op"] in ("EQUAL", "IN")}
    order = [(o["field"]["fieldPath"], o["direction"]) for o in query.get("orderBy", ())]
    if order and order[-1][0] == "__name__":  # ends each index, in the direction before it
        assert {direction for _, direction in order[-2:]} == {order[-1][1]}
        order.pop()
    unequal = {f["field"]["fieldPath"] for f in filters} - equal

    assert unequal <= {name for name, _ in order}
    if order:
        keys = [[(f["fieldPath"], f["order"]) for f in index["fields"]] for index in INDEXES]
        assert any(
            {name for name, _ in key[: len(equal)]} == equal and key[len(equal) :] == order
            for key in keys
        )
    else:  # the indexes of single fields, which Firestore merges
        assert not equal & set(OVERRIDES)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_has_no_more_alternatives_than_firestore_takes(query: dict[str, Any]) -> None:
    alternatives = 1
    for filter in filters_of(query):
        if filter["op"] == "IN":
            alternatives *= len(filter["value"]["arrayValue"]["values"])

    assert alternatives <= DISJUNCTIONS


def test_no_index_has_a_field_that_may_be_long_or_that_rises_with_time() -> None:
    """Long values aren't indexed, and rising ones would be written in one place."""
    row = Row(key=Key("app", "task", "1"), payload=b"", limit_key="a", parent="task/0")
    states = [fields_of(row, ""), fields_of(replace(row, state=State.SUCCESS), "")]

    indexed = {name for fields in states for name in fields} - set(OVERRIDES)

    assert indexed == {"app", "task", "id", "state", "live", "ended", "parent"}
    assert OVERRIDES["remove"]["ttl"]
    rising = {"sweep", "created", "sent", "ready"}
    for index in INDEXES:
        names = [field["fieldPath"] for field in index["fields"]]
        before = names[: min(names.index(name) for name in rising & set(names))]
        assert "shard" in before or "limit" in before


def test_there_is_a_command_for_each_index_and_field() -> None:
    made = list(commands("my-project", "(default)"))

    assert len(made) == len(INDEXES) + len(OVERRIDES) + 1
    assert all(f"--collection-group={JOBS} --project=my-project" in line for line in made)
    assert made[0] == (
        "gcloud firestore indexes composite create --field-config=field-path=app,order=ascending "
        "--field-config=field-path=shard,order=ascending "
        "--field-config=field-path=sweep,order=ascending --collection-group=ucam-faas-jobs "
        "--project=my-project --database='(default)' --async"
    )


@pytest.mark.slow
def test_migrate_shows_the_commands(firestore: Firestore, monkeypatch: pytest.MonkeyPatch) -> None:
    project = firestore.new_project()
    monkeypatch.setenv("UCAM_FAAS_JOB_STORE", f"firestore:{project}/jobs")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.host)
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)

    shown = CliRunner().invoke(main, ["jobs", "migrate"])
    listed = CliRunner().invoke(main, ["jobs", "migrate", "--json"])

    expected = list(commands(project, "jobs"))
    assert (shown.exit_code, shown.stdout.splitlines()) == (0, expected), shown.output
    assert json.loads(listed.stdout)["commands"] == expected
