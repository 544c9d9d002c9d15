"""Events become rows, in whatever order two processes tell of them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.support import history
from tests.support.history import BEGIN, attempt, ended, logged, published
from ucam_faas.history import tables
from ucam_faas.history.database import open_for_writing
from ucam_faas.history.events import (
    Answered,
    Cancelled,
    DeadLettered,
    Delivered,
    Dropped,
    Event,
    Published,
    Pulled,
    pack,
    unpack,
)
from ucam_faas.history.ledger import CANCELLED, INTERRUPTED, Ledger
from ucam_faas.history.reader import History
from ucam_faas.history.rows import EventKind, MessageState, StepKind


@contextmanager
def written(*batches: Sequence[Event]) -> Iterator[History]:
    """Return the history of events that are written batch by batch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.sqlite3")
        with closing(open_for_writing(path)) as database:
            ledger = Ledger(database)
            for batch in batches:
                ledger.apply(unpack(pack(batch))[0])
                ledger.settle(0.0)
                ledger.flush()
            ledger.settle(math.inf)
            ledger.flush()
            ledger.flush()
        with closing(History(path)) as reader:
            yield reader


@pytest.mark.parametrize("place", range(4))
def test_a_line_may_come_before_its_delivery_and_after_its_end(place: int) -> None:
    """Lines come from another process: their run is the one that was delivered."""
    message, delivered, line, end, answered = [
        published("1"),
        *attempt("1", 1, time=BEGIN + 1, lines=["looking"]),
    ]
    order = [message, delivered, answered]
    order[place:place] = [line, end]

    with written(*([event] for event in order)) as reader:
        (run,) = reader.message_runs("1")
        assert (run.execution_id, run.outcome, run.status, run.attempt) == (
            *("run-store-1-1", "done", "204"),
            1,
        )
        assert [each.message for each in reader.lines(run.execution_id)] == ["looking"]
        assert reader.rates(BEGIN, until=BEGIN + 60, buckets=1)["store"].done == (1,)


@pytest.mark.parametrize("is_line_first", [True, False])
def test_a_long_run_is_whole_although_its_delivery_was_forgotten(
    monkeypatch: pytest.MonkeyPatch, is_line_first: bool
) -> None:
    """Other deliveries took its place in memory; its last line and its answer come together."""
    monkeypatch.setattr(tables, "KNOWN", 1)
    message = published("1")
    delivered, line, end, answered = attempt("1", 1, time=BEGIN + 1, lines=["looking"])
    last = [end, answered] if is_line_first else [answered, end]

    with written([message], [delivered], [line], [published("2")], last) as reader:
        (run,) = reader.message_runs("1")
        assert (run.outcome, run.status, run.ended) == ("done", "204", BEGIN + 1.02)
        (row,) = reader.deliveries("1")
        assert row.state is MessageState.DONE


@pytest.mark.parametrize("place", range(3))
def test_a_message_that_its_task_gives_up_has_failed_although_it_is_answered(place: int) -> None:
    """The task dead-letters it by itself, and Pub/Sub gets a 2xx."""
    run = {"time": BEGIN + 1.02, "outcome": "dead_lettered", "message_id": "1", "attempt": 1}
    line = ended("e", seconds=0.02, subscription="store", reason="no such order", **run)
    order = [
        published("1"),
        Delivered(BEGIN + 1, "store", "1", 1),
        Answered(BEGIN + 1.02, "store", "1", 1, True, "200"),
    ]
    order[place + 1 : place + 1] = [line]

    with written(*([event] for event in order)) as reader:
        (error,) = reader.errors()
        assert (error.execution_id, error.reason) == ("e", "no such order")
        rates = reader.rates(BEGIN, until=BEGIN + 60, buckets=1)["store"]
        assert (rates.done, rates.failed) == ((0,), (1,))


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
def test_a_message_that_its_task_gives_up_keeps_the_reason(
    order: tuple[int, ...], together: bool
) -> None:
    """Its answer is a success, and comes before or after its dead letter."""
    run = {"outcome": "dead_lettered", "message_id": "1", "attempt": 1, "subscription": "store"}
    later = [
        ended("e", time=BEGIN + 1.02, seconds=0.02, reason="no such order", **run),
        DeadLettered(BEGIN + 1.01, "store", "1", "store-dead-letter", "2"),
        Answered(BEGIN + 1.02, "store", "1", 1, True, "200"),
    ]
    events = [published("1"), Delivered(BEGIN + 1, "store", "1", 1)]
    events.append(published("9", time=BEGIN + 60))  # the line isn't waited for any longer
    events += [later[place] for place in order]

    with written(*([events] if together else [[event] for event in events])) as reader:
        (row,) = reader.deliveries("1")
        assert (row.state, row.reason) == (MessageState.DEAD_LETTERED, "no such order")


def test_a_line_goes_to_the_attempt_in_whose_time_it_is() -> None:
    first = attempt("1", 1, time=BEGIN + 1, failure="KeyError: 1", lines=["one"])
    second = attempt("1", 2, time=BEGIN + 2, lines=["two"])

    lines = (second[1:3], [first[0], first[3]], first[1:3])
    with written([published("1")], *lines, [second[0], second[3]]) as reader:
        runs = reader.message_runs("1")

    assert [(run.execution_id, run.outcome) for run in runs] == [
        ("run-store-1-1", "crashed"),
        ("run-store-1-2", "done"),
    ]


def test_the_event_of_a_failure_has_its_reason_although_the_line_comes_later() -> None:
    delivered, end, answered = attempt("1", 1, time=BEGIN, failure="KeyError: 'umbrella'")

    with written([published("1"), delivered, answered], [end]) as reader:
        failed = next(event for event in reader.stream(0) if event.kind is EventKind.FAILED)

    assert failed.text == "attempt 1, KeyError: 'umbrella'"


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("together", [True, False])
def test_the_event_of_a_message_that_its_task_gives_up_is_a_failure(
    place: int, together: bool
) -> None:
    """Its answer is a success, and its line comes before or after it."""
    run = {"outcome": "crashed", "message_id": "1", "attempt": 1, "subscription": "store"}
    events: list[Event] = [
        published("1"),
        Delivered(BEGIN + 1, "store", "1", 1),
        Answered(BEGIN + 1.02, "store", "1", 1, True, "200"),
    ]
    line = ended("e", time=BEGIN + 1.02, seconds=0.02, reason="KeyError: 1", **run)
    events.insert(place, line)

    with written(*([events] if together else [[event] for event in events])) as reader:
        ends = [(event.kind, event.text) for event in reader.stream(0)]

    assert (EventKind.FAILED, "attempt 1, KeyError: 1") in ends
    assert EventKind.DONE not in dict(ends)


def test_a_task_that_gave_no_line_has_the_status_as_its_reason() -> None:
    failed = Answered(BEGIN + 1, "store", "1", 1, False, "cannot connect", 1.0)

    with written([published("1"), Delivered(BEGIN, "store", "1", 1), failed]) as reader:
        (row,) = reader.messages()
        (event,) = [event for event in reader.stream(0) if event.kind is EventKind.FAILED]

    assert (row.state, row.reason) == (MessageState.FAILED, "cannot connect")
    assert event.text == "attempt 1, cannot connect"


def test_a_message_from_before_the_history_is_listed_without_its_content() -> None:
    with written(attempt("7", 3, time=BEGIN)) as reader:
        (row,) = reader.messages()
        assert (row.id, row.task, row.state, row.attempts) == ("7", "store", "done", 3)
        assert reader.message("7") is None
        assert [step.kind for step in reader.timeline("7")] == [StepKind.ATTEMPT]


def test_a_delivery_that_was_given_up_waits() -> None:
    begin = [published("1"), Delivered(BEGIN, "store", "1", 1)]

    with written([*begin, Cancelled(BEGIN + 1, "store", "1")]) as reader:
        assert [row.state for row in reader.messages()] == [MessageState.WAITING]
        assert [run.outcome for run in reader.message_runs("1")] == [CANCELLED]


def test_a_delivery_that_ran_when_dev_was_killed_waits_again(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history.write(path, [published("1"), Delivered(BEGIN, "store", "1", 1)])

    history.write(path, attempt("1", 2, time=BEGIN + 60)[:1])

    with closing(History(path)) as reader:
        assert [run.outcome for run in reader.message_runs("1")] == [INTERRUPTED, ""]
        assert [(row.state, row.attempts) for row in reader.messages()] == [("running", 2)]


def test_an_id_that_is_given_again_is_the_newer_message(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history.write(path, [published("1", b"old"), *attempt("1", 1, time=BEGIN)])
    history.write(path, [published("1", b"new", time=BEGIN + 60)])

    with closing(History(path)) as reader:
        message = reader.message("1")
        assert message is not None
        assert message.data == b"new"
        assert [row.state for row in reader.deliveries("1")] == [MessageState.WAITING]


def test_the_lines_of_a_job_are_in_its_run_although_no_message_is_known() -> None:
    wake = {"message_id": "9", "subscription": "invoice-inbox", "task": "invoice"}
    line = logged("printing", time=BEGIN, execution_id="e", **wake)
    end = ended("e", time=BEGIN + 1, seconds=2.0, job_id="job-1", **wake)

    with written([line], [end]) as reader:
        (run,) = reader.job_runs("invoice", "job-1")
        assert (run.began, run.ended, run.outcome) == (BEGIN - 1, BEGIN + 1, "done")
        assert [each.message for each in reader.lines("e")] == ["printing"]
        assert reader.messages() == []


def test_a_message_that_is_pulled_waits_until_it_is_acknowledged_once() -> None:
    pulled = Pulled(BEGIN + 1, "store", "1")

    with written([published("1"), published("2")], [pulled], [pulled]) as reader:
        assert [(row.id, row.state) for row in reader.messages()] == [
            ("2", MessageState.WAITING),
            ("1", MessageState.DONE),
        ]
        assert reader.rates(BEGIN, until=BEGIN + 60, buckets=1)["store"].done == (1,)
        assert [event.text for event in reader.stream(0)][2:] == ["pulled"]
    with written([pulled]) as reader:
        assert reader.messages() == []


def test_a_message_that_a_worker_gave_up_is_one_event_and_no_success() -> None:
    about = {
        "CloudPubSubDeadLetterSourceSubscription": "store", "ucam_faas_message_id": "1",
        "ucam_faas_reason": "KeyError",
    }  # fmt: skip
    letter = Published(BEGIN + 1, "2", "store-dead-letter", "", about, b"", ["keeper"])

    with written([published("1")], [letter], [Pulled(BEGIN + 2, "store", "1")]) as reader:
        (row,) = reader.deliveries("1")
        assert (row.state, row.letter_id) == (MessageState.DEAD_LETTERED, "2")
        assert row.reason == "KeyError"
        events = [event for event in reader.stream(0) if event.message_id == "1"]
        assert [event.kind for event in events] == ["published", "dead_lettered"]
        assert events[-1].text == "message 2 of store-dead-letter, KeyError"
        rates = reader.rates(BEGIN, until=BEGIN + 60, buckets=1)["store"]
        assert (rates.done, rates.failed, rates.dead_lettered) == ((0,), (1,), (1,))


def test_lost_events_are_counted() -> None:
    with written([Dropped(3)], [Dropped(4)]) as reader:
        assert reader.dropped() == 7


# -- a model ----------------------------------------------------------------------------------


@dataclass
class Model:
    """A message with one reader, as simply as possible."""

    state: str = "waiting"
    attempts: list[str] = field(default_factory=list)
    """How each ended; "": it runs."""
    is_dead: bool = False

    def apply(self, what: str) -> bool:
        """Take a step, if it is possible now."""
        runs = self.attempts[-1:] == [""]
        if what == "deliver":
            if runs:
                return False
            self.attempts.append("")
            self.state = "running"
        elif what == "dead-letter":
            if not runs or self.is_dead:
                return False
            self.is_dead, self.state = True, "dead_lettered"
        else:
            if not runs:
                return False
            self.attempts[-1] = what
            self.state = {"done": "done", "failed": "failed", "cancelled": "waiting"}[what]
            if self.is_dead:
                self.state = "dead_lettered"
        return True


STEPS = ("deliver", "done", "failed", "cancelled", "dead-letter")


@pytest.mark.slow
@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(STEPS)), max_size=25
    ),
    sizes=st.lists(st.integers(1, 6), min_size=1),
    early=st.booleans(),
)
def test_the_timeline_of_a_message_agrees_with_a_model(
    steps: list[tuple[str, str]], sizes: list[int], early: bool
) -> None:
    """Whatever the order of events and of lines, and however they are divided into batches."""
    models = {id: Model() for id in ("1", "2", "3")}
    events: list[Event] = [published(id, time=BEGIN) for id in models]
    begins: dict[str, float] = {}
    time = BEGIN
    for id, what in steps:
        model = models[id]
        if not model.apply(what):
            continue
        time += 1
        number = len(model.attempts)
        execution = f"{id}-{number}"
        line = logged(
            "at work", time=time + 0.001, execution_id=execution, task="store",
            message_id=id, subscription="store",
        )  # fmt: skip
        if what == "deliver":
            begins[id] = time
            delivered = Delivered(time, "store", id, number)
            events += [line, delivered] if early else [delivered, line]
        elif what == "cancelled":
            events.append(Cancelled(time, "store", id))
        elif what == "dead-letter":
            events.append(DeadLettered(time, "store", id, "dead", f"letter-{id}"))
        else:
            answered = Answered(time, "store", id, number, what == "done", "200")
            end = ended(
                execution, time=time, seconds=time - begins[id], outcome=what, message_id=id,
                subscription="store", reason="" if what == "done" else "why",
            )  # fmt: skip
            events += [end, answered] if early else [answered, end]
    batches, rest = [], events
    while rest:
        size = sizes[len(batches) % len(sizes)]
        batches.append(rest[:size])
        rest = rest[size:]

    with written(*batches) as reader:
        for id, model in models.items():
            (row,) = reader.deliveries(id)
            assert (row.state, row.attempts) == (model.state, len(model.attempts))
            first, *later = reader.timeline(id)
            assert first.kind is StepKind.PUBLISHED
            runs = [step.run for step in later if step.kind is StepKind.ATTEMPT]
            assert [run and run.outcome for run in runs] == model.attempts
            assert [step.lines[0].message for step in later if step.run] == ["at work"] * len(runs)
            letters = [step.message_id for step in later if step.kind is StepKind.DEAD_LETTERED]
            assert letters == [f"letter-{id}"] * model.is_dead
        rates = reader.rates(BEGIN, until=time + 60, buckets=1).get("store")
        outcomes = [outcome for model in models.values() for outcome in model.attempts]
        assert rates is not None
        assert (rates.published, rates.done, rates.failed) == (
            *((3,), (outcomes.count("done"),)),
            (outcomes.count("failed"),),
        )
