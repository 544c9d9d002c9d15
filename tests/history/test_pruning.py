"""A history stays within its days and megabytes, and the newest rows stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import history
from tests.support.history import BEGIN
from ucam_faas.history.database import open_for_writing
from ucam_faas.history.pruning import Pruning
from ucam_faas.history.reader import History
from ucam_faas.testing import ManualClock

DAY = 86_400.0


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Callable[..., History]]:
    """Write a history of ten days and prune it."""
    readers = []

    def pruned(*, days: float = 100, megabytes: float = 500, size: int = 10) -> History:
        path = tmp_path / "history.sqlite3"
        events = []
        for number in range(1000):
            time = BEGIN + number * DAY / 100
            data = b"x" * size
            events.append(history.published(str(number), data, time=time, attributes={"n": "v"}))
            events += history.attempt(str(number), 1, time=time, lines=[f"line {number}"])
        history.write(path, events)
        clock = ManualClock(datetime.fromtimestamp(BEGIN, UTC) + timedelta(days=10))
        pruning = Pruning(days, megabytes, clock)
        with closing(open_for_writing(path)) as database:
            while pruning.is_due():
                pruning.prune(database)
        readers.append(History(path))
        return readers[-1]

    yield pruned
    for reader in readers:
        reader.close()


def numbers(reader: History, **filters: str) -> list[int]:
    return [int(row.id) for row in reader.messages(limit=5000, **filters)]  # type: ignore[arg-type]


def test_rows_that_are_too_old_go_from_every_table(file: Callable[..., History]) -> None:
    reader = file(days=4)

    kept = list(range(999, 599, -1))
    assert (
        numbers(reader) == numbers(reader, attribute="n=v") == numbers(reader, text="xxx") == kept
    )
    with closing(sqlite3.connect(reader.path)) as database:
        counts = [
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("messages", "deliveries", "runs", "lines", "attributes")
        ]
        database.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    assert counts == [400] * 5
    assert reader.timeline("100") == []
    assert reader.lines("run-store-700-1")[0].message == "line 700"


@pytest.mark.slow
def test_the_oldest_go_if_the_file_is_too_large(file: Callable[..., History]) -> None:
    reader = file(megabytes=2, size=4000)

    kept = numbers(reader)
    assert 150 < len(kept) < 500
    assert kept == list(range(999, 999 - len(kept), -1))
    assert reader.path.stat().st_size < 2.5e6


def test_the_newest_stay_though_all_came_at_once(tmp_path: Path) -> None:
    """As after a burst, long before the file is looked at."""
    path = tmp_path / "history.sqlite3"
    events = [
        history.published(str(number), b"x" * 100_000, time=BEGIN + number * 0.001)
        for number in range(40)
    ]
    history.write(path, events)
    pruning = Pruning(100, 2, ManualClock(datetime.fromtimestamp(BEGIN + DAY, UTC)))
    with closing(open_for_writing(path)) as database:
        while pruning.is_due():
            pruning.prune(database)

    with closing(History(path)) as reader:
        kept = numbers(reader)
    assert 10 < len(kept) < 20
    assert kept == list(range(39, 39 - len(kept), -1))


def test_a_history_that_is_within_its_limits_stays(file: Callable[..., History]) -> None:
    assert len(numbers(file())) == 1000
