"""Rows are read page by page, each once."""

from __future__ import annotations

import pytest

from ucam_faas.jobs import pages
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock


@pytest.mark.parametrize("at_one_moment", [1, 2, 3, 4, 10])
def test_each_row_comes_once_whichever_were_sent_at_one_moment(
    store: SqliteStore, clock: ManualClock, at_one_moment: int
) -> None:
    ids = [f"{number:02}" for number in range(20)]
    for number, id in enumerate(ids):
        key = Key("app", "charge", id)
        store.insert([Row(key=key, payload=b"", visit=60.0, owner=id)], wait=[0.0])
        if number % at_one_moment == at_one_moment - 1:
            clock.advance(1)

    rows = list(pages.latest(store, "app", page=3))

    assert sorted(row.key.id for row in rows) == ids
    assert [row.created for row in rows] == sorted((row.created for row in rows), reverse=True)


def test_the_filters_hold_on_each_page(store: SqliteStore) -> None:
    for number in range(9):
        key = Key("app", ("charge", "refund")[number % 2], str(number))
        store.insert([Row(key=key, payload=b"", visit=60.0, owner=key.id)], wait=[0.0])

    rows = pages.latest(store, "app", task="refund", page=2)

    assert sorted(row.key.id for row in rows) == ["1", "3", "5", "7"]
