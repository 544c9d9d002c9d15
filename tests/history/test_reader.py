"""Pages of a history: the rows of each query, their order, and the next page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import history
from tests.support.history import BEGIN, published
from ucam_faas.history import queries
from ucam_faas.history.reader import History
from ucam_faas.history.rows import EventKind, MessageState, StepKind


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    path = tmp_path_factory.mktemp("history") / "history.sqlite3"
    history.write(path, history.realistic(big=100_000))
    reader = History(path)
    yield reader
    reader.close()


def ids(rows: list[object]) -> list[str]:
    return [row.id for row in rows]  # type: ignore[attr-defined]


def test_a_page_is_newest_first_and_goes_on_after_its_last_row(shop: History) -> None:
    whole = shop.messages(limit=1000)

    pages, before = [], None
    while page := shop.messages(before=before, limit=7):
        pages += page
        before = page[-1].key

    assert pages == whole
    assert [row.time for row in whole] == sorted((row.time for row in whole), reverse=True)


@pytest.fixture
def boots(tmp_path: Path) -> Iterator[History]:
    """Return a history of 40 messages about umbrellas; each tenth is about an umbrella stand."""
    path = tmp_path / "history.sqlite3"
    words = ["umbrellastand" if number % 10 == 0 else "Umbrellas" for number in range(40)]
    events = [published(str(number), word.encode()) for number, word in enumerate(words)]
    history.write(path, events)
    reader = History(path)
    yield reader
    reader.close()


@pytest.mark.parametrize("looks", [(), (2, 3), (3, 100), queries.LOOKS])
def test_a_long_beginning_of_a_word_finds_the_same_however_it_is_looked_for(
    boots: History, looks: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKS", looks)

    rare = boots.messages(text="umbrellast")
    first = boots.messages(text="umbrell", limit=25)
    second = boots.messages(text="umbrell", before=first[-1].key, limit=25)

    assert ids(rare) == ["30", "20", "10", "0"]
    assert ids([*first, *second]) == [str(number) for number in reversed(range(40))]
    assert boots.messages(text="umbrellaz") == []


def test_a_long_beginning_that_many_have_is_not_looked_up_among_all(boots: History) -> None:
    """SQLite would put all messages with it together, before it returns the first."""
    boots.last_seq()
    (_, database), asked = boots._idle[0], []
    database.set_trace_callback(asked.append)

    assert len(boots.messages(text="umbrell", limit=20)) == 20
    assert any("umbre" in statement for statement in asked)
    assert not any("umbrell" in statement for statement in asked)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "dead_lettered"}, ["19"]),
        ({"state": "failed"}, ["23"]),
        ({"state": "running", "task": "store"}, ["22"]),
        ({"state": "waiting"}, ["21", "20"]),
        ({"state": MessageState.UNREAD}, ["27"]),
        ({"task": "mail"}, ["18"]),
        ({"topic": "store-dead-letter"}, ["20"]),
        ({"state": "done", "task": "store", "until": BEGIN + 100}, ["18", "17"]),
        ({"since": BEGIN + 150, "until": BEGIN + 200}, ["27", "26"]),
        ({"attribute": "customer=4", "until": BEGIN + 100}, ["20", "19"]),
        ({"attribute": "customer=4", "topic": "orders", "until": BEGIN + 100}, ["19"]),
        ({"attribute": "customer=", "until": BEGIN + 100}, []),
        ({"text": "trinity lane"}, ["17"]),
        ({"text": "TRIN"}, ["17"]),
        ({"text": "tr lane"}, []),
        ({"text": "umbr", "attribute": "customer=3", "since": BEGIN + 480}, ["297", "290", "283"]),
        ({"text": "umbrella", "state": "failed"}, ["23"]),
        ({"text": "umbrella", "task": "mail"}, ["18"]),
        ({"text": "umbrella", "task": "mail", "state": "done"}, ["18"]),
        ({"text": "umbrella", "topic": "store-dead-letter"}, ["20"]),
        ({"attribute": "customer=4", "task": "store-dead-letter"}, ["20"]),
        ({"attribute": "customer=4", "state": "dead_lettered"}, ["19"]),
        ({"text": "umbrella", "task": "unknown"}, []),
        ({"text": '"script" * (alert'}, ["26"]),
        ({"text": "!?"}, []),
        ({"text": "299"}, ["299"]),
    ],
)  # fmt: skip
def test_filters_find_messages(shop: History, filters: dict[str, str], expected: list[str]) -> None:
    assert ids(shop.messages(**filters)) == expected  # type: ignore[arg-type]


def test_a_message_with_two_readers_is_listed_for_each(shop: History) -> None:
    rows = [row for row in shop.messages(limit=1000) if row.id == "18"]

    assert [(row.task, row.attempts, row.state) for row in rows] == [
        ("mail", 1, MessageState.DONE),
        ("store", 1, MessageState.DONE),
    ]


def test_a_message_is_returned_as_it_was_published(shop: History) -> None:
    message = shop.message("17")

    assert message is not None
    assert (message.key, message.topic) == ("customer-3", "orders")
    assert message.attributes == {"customer": "3", "source": "web"}
    binary = shop.message("24")
    assert binary is not None
    assert binary.data == bytes(range(256))
    assert shop.message("unknown") is None


def test_a_timeline_has_the_attempts_with_reasons_lines_and_tracebacks(shop: History) -> None:
    first, *attempts = shop.timeline("17")

    assert first.kind is StepKind.PUBLISHED
    assert [step.text for step in attempts] == ["KeyError: 'umbrella'", "KeyError: 'umbrella'", ""]
    assert [[line.message for line in step.lines] for step in attempts] == [
        ["looking", "ucam_faas_function_aborted"],
        ["looking", "ucam_faas_function_aborted"],
        ["looking for the price of an umbrella", "stored order 17", "ucam_faas_function_completed"],
    ]
    runs = [step.run for step in attempts]
    assert [run and (run.attempt, run.outcome, run.error_type) for run in runs] == [
        (1, "crashed", "KeyError"),
        (2, "crashed", "KeyError"),
        (3, "done", ""),
    ]
    assert attempts[0].lines[1].traceback == history.TRACEBACK
    assert attempts[2].lines[2].fields == {"price": 12.5}


def test_a_timeline_ends_with_the_dead_letter(shop: History) -> None:
    last = shop.timeline("19")[-1]

    assert (last.kind, last.message_id) == (StepKind.DEAD_LETTERED, "20")
    assert last.text == "InvalidAddressError: no such street"


def test_a_line_of_a_run_that_goes_on_is_in_the_timeline(shop: History) -> None:
    last = shop.timeline("22")[-1]

    assert last.run is not None
    assert last.run.ended is None
    assert [line.message for line in last.lines] == ["still looking"]


def test_runs_of_a_job_are_found_by_its_id(shop: History) -> None:
    first, second = shop.job_runs("invoice", "job-1")

    assert (first.outcome, first.reason, first.error_type, first.failed) == (
        *("retry", "the printer is off", "PrinterError"),
        True,
    )
    assert (second.outcome, second.failed, second.began) == ("done", False, BEGIN + 628)
    assert [line.message for line in shop.lines(second.execution_id)] == ["printing"]
    assert shop.job_runs("other", "job-1") == []


def test_errors_are_the_failed_runs_newest_first(shop: History) -> None:
    errors = shop.errors(limit=3)

    assert [(run.task, run.message_id) for run in errors] == [
        ("invoice", ""),
        ("store", "23"),
        ("store", "19"),
    ]
    assert ids_of_runs(shop.errors(before=errors[-1].key, limit=1)) == ["19"]
    assert shop.errors(since=BEGIN + 10_000) == []


def ids_of_runs(runs: list[object]) -> list[str]:
    return [run.message_id for run in runs]  # type: ignore[attr-defined]


def test_the_stream_goes_on_after_a_number(shop: History) -> None:
    last = shop.last_seq()

    events = shop.stream(last - 4)

    assert [event.seq for event in events] == [last - 3, last - 2, last - 1, last]
    assert [(event.kind, event.task) for event in events] == [
        (EventKind.LOGGED, ""),
        (EventKind.FAILED, "invoice"),
        (EventKind.LOGGED, "invoice"),
        (EventKind.DONE, "invoice"),
    ]
    assert shop.stream(last) == []


def test_rates_count_by_task_and_bucket(shop: History) -> None:
    rates = shop.rates(BEGIN, until=BEGIN + 120, buckets=2)

    assert rates["mail"].done == (1, 0)
    assert rates["store"].failed == (3, 4)
    assert rates["store"].dead_lettered == (0, 1)


def test_without_a_file_everything_is_empty_until_there_is_one(tmp_path: Path) -> None:
    reader = History(tmp_path / "history.sqlite3")

    assert reader.messages() == reader.timeline("1") == reader.stream(0) == []
    assert reader.message("1") is None
    assert reader.last_seq() == 0

    history.write(reader.path, [history.published("1")])
    assert ids(reader.messages()) == ["1"]
    reader.close()


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    reader = History(tmp_path / "history.sqlite3")
    history.write(reader.path, [history.published("1")])
    assert ids(reader.messages()) == ["1"]

    history.write(tmp_path / "other", [history.published("2")])
    (tmp_path / "other").replace(reader.path)

    assert ids(reader.messages()) == ["2"]
    reader.close()


def test_a_message_has_a_row_for_each_reader(shop: History) -> None:
    rows = shop.deliveries("18")

    assert [(row.id, row.subscription, row.state) for row in rows] == [
        ("18", "store", MessageState.DONE),
        ("18", "mail", MessageState.DONE),
    ]
