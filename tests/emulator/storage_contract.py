"""The contract of every `Storage`: subclass it, and override the fixture `reopen`.

Reopening means what the adapter makes of it: memory goes on as it is, a file is closed and opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ucam_faas.emulator.core.storage import Message, Progress, Storage

Reopen = Callable[[Storage], Storage]
LOG, QUEUE = 3, 7


def message(number: int, time: float = 0.0, **fields: object) -> Message:
    made = Message(number, time or 1_000.0 + number, "", {}, b"data")
    return made._replace(**fields)  # type: ignore[arg-type]  # fields of every kind


def numbers(storage: Storage, first: int = 0, log: int = LOG) -> list[int]:
    return [message.number for message in storage.read(log, first)]


class StorageContract:
    """The tests; not collected under this name."""

    @pytest.fixture
    def storage(self) -> Storage:
        """Return an empty storage."""
        raise NotImplementedError("override the fixture `storage`")

    @pytest.fixture
    def reopen(self) -> Reopen:
        """Return a function that commits, closes the storage and opens it again."""
        raise NotImplementedError("override the fixture `reopen`")

    # -- messages -----------------------------------------------------------------------------

    def test_messages_are_read_back_as_they_were(self, storage: Storage, reopen: Reopen) -> None:
        odd = [
            message(
                1, 1234567890.123456, key="k", attributes={"a": "b", "": "ü\0"}, data=b"\0\xff"
            ),
            message(2, key="\ud7ff\U0001f600", data=b""),
            message(9, data=b"x" * 1_000_000),
        ]

        storage.append(LOG, odd)

        assert list(storage.read(LOG, 0)) == odd
        assert list(reopen(storage).read(LOG, 0)) == odd

    def test_reading_begins_where_it_is_told(self, storage: Storage) -> None:
        storage.append(LOG, [message(n) for n in (2, 4, 6)])

        assert numbers(storage, 0) == [2, 4, 6]
        assert numbers(storage, 4) == [4, 6]
        assert numbers(storage, 5) == [6]
        assert numbers(storage, 7) == []

    def test_an_unknown_log_is_empty(self, storage: Storage) -> None:
        assert numbers(storage, log=99) == []
        assert storage.first_since(99, 0.0) is None
        storage.drop(99, 10)

    def test_logs_are_apart(self, storage: Storage) -> None:
        storage.append(LOG, [message(1)])
        storage.append(LOG + 1, [message(2)])

        storage.drop(LOG, 10)

        assert numbers(storage) == []
        assert numbers(storage, log=LOG + 1) == [2]

    def test_the_log_can_change_while_it_is_read(self, storage: Storage) -> None:
        storage.append(LOG, [message(n) for n in range(1, 300)])
        reading = storage.read(LOG, 1)
        assert next(reading).number == 1

        storage.append(LOG, [message(300)])
        storage.advance(QUEUE, 2, [], {})
        storage.commit()

        assert next(reading).number == 2

    def test_dropping_forgets_what_is_before(self, storage: Storage, reopen: Reopen) -> None:
        storage.append(LOG, [message(n) for n in (2, 4, 6)])

        storage.drop(LOG, 4)

        assert numbers(storage) == [4, 6]
        storage.drop(LOG, 0)
        assert numbers(reopen(storage)) == [4, 6]

    def test_the_first_message_since_a_time(self, storage: Storage) -> None:
        storage.append(LOG, [message(1, 10.0), message(2, 20.0), message(3, 20.0)])

        assert storage.first_since(LOG, 5.0) == 1
        assert storage.first_since(LOG, 10.0) == 1
        assert storage.first_since(LOG, 10.5) == 2
        assert storage.first_since(LOG, 20.5) is None

    def test_the_first_message_since_a_time_when_the_clock_went_back(
        self, storage: Storage
    ) -> None:
        storage.append(LOG, [message(1, 10.0), message(2, 30.0), message(3, 20.0)])

        assert storage.first_since(LOG, 15.0) == 2

    def test_numbers_are_never_given_twice(self, storage: Storage, reopen: Reopen) -> None:
        assert storage.last_number() == 0
        storage.append(LOG, [message(5), message(6)])
        assert storage.last_number() == 6

        storage.drop(LOG, 100)
        storage = reopen(storage)

        assert storage.last_number() == 6
        storage.clear()
        assert reopen(storage).last_number() == 6

    # -- progress -----------------------------------------------------------------------------

    def test_a_new_queue_has_no_progress(self, storage: Storage) -> None:
        assert storage.progress(QUEUE) == Progress(0, set(), {})

    def test_progress_adds_up(self, storage: Storage, reopen: Reopen) -> None:
        storage.advance(QUEUE, 5, [7, 9], {6: 1, 8: 2})
        storage.advance(QUEUE, 5, [10], {6: 2})

        expected = Progress(5, {7, 9, 10}, {6: 2, 8: 2})
        assert storage.progress(QUEUE) == expected
        assert reopen(storage).progress(QUEUE) == expected

    def test_what_is_before_the_floor_is_forgotten(self, storage: Storage, reopen: Reopen) -> None:
        storage.advance(QUEUE, 1, [3, 7], {2: 1, 8: 1})

        storage.advance(QUEUE, 5, [4, 6], {3: 4})

        expected = Progress(5, {6, 7}, {8: 1})
        assert storage.progress(QUEUE) == expected
        assert reopen(storage).progress(QUEUE) == expected

    def test_failures_of_acknowledged_messages_are_forgotten(
        self, storage: Storage, reopen: Reopen
    ) -> None:
        storage.advance(QUEUE, 1, [], {2: 1, 3: 1})

        storage.advance(QUEUE, 1, [3], {})

        assert storage.progress(QUEUE) == Progress(1, {3}, {2: 1})
        assert reopen(storage).progress(QUEUE) == Progress(1, {3}, {2: 1})

    def test_acknowledging_twice_is_once(self, storage: Storage) -> None:
        storage.advance(QUEUE, 1, [3], {})
        storage.advance(QUEUE, 1, [3, 3], {})

        assert storage.progress(QUEUE).acked == {3}

    def test_progress_that_was_returned_is_the_callers(self, storage: Storage) -> None:
        storage.advance(QUEUE, 1, [3], {4: 1})
        progress = storage.progress(QUEUE)

        progress.acked.clear()
        progress.failures.clear()

        assert storage.progress(QUEUE) == Progress(1, {3}, {4: 1})

    def test_restarting_replaces_the_progress(self, storage: Storage, reopen: Reopen) -> None:
        storage.advance(QUEUE, 50, [60], {61: 3})
        progress = Progress(10, {12, 14}, {11: 2})

        storage.restart(QUEUE, replace(progress, acked=set(progress.acked)))

        assert storage.progress(QUEUE) == progress
        assert reopen(storage).progress(QUEUE) == progress

    def test_queues_are_apart(self, storage: Storage) -> None:
        storage.advance(QUEUE, 5, [7], {6: 1})
        storage.advance(QUEUE + 1, 9, [11], {10: 2})

        storage.remove_queue(QUEUE)

        assert storage.progress(QUEUE) == Progress(0, set(), {})
        assert storage.progress(QUEUE + 1) == Progress(9, {11}, {10: 2})
        storage.remove_queue(99)

    # -- resources ----------------------------------------------------------------------------

    def test_resources_are_kept_by_kind_and_name(self, storage: Storage, reopen: Reopen) -> None:
        storage.put("topics", "a", b"1\n\0")
        storage.put("topics", "b", b"2")
        storage.put("subscriptions", "a", b"3")

        storage.put("topics", "a", b"4")
        storage.put("topics", "b", None)
        storage.put("topics", "never there", None)

        for prepare in (lambda: storage, lambda: reopen(storage)):
            prepared = prepare()
            assert prepared.resources("topics") == {"a": b"4"}
            assert prepared.resources("subscriptions") == {"a": b"3"}
            assert prepared.resources("others") == {}

    def test_clearing_forgets_everything(self, storage: Storage, reopen: Reopen) -> None:
        storage.put("topics", "a", b"1")
        storage.append(LOG, [message(1)])
        storage.advance(QUEUE, 1, [2], {3: 1})

        storage.clear()

        for prepare in (lambda: storage, lambda: reopen(storage)):
            prepared = prepare()
            assert prepared.resources("topics") == {}
            assert numbers(prepared) == []
            assert prepared.progress(QUEUE) == Progress(0, set(), {})
