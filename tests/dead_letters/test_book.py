"""The book of dead letters: lists, groups, filters, edits and states."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.dead_letters import BEGIN, dead_letters, filled_book
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.database import BookError
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Content, Letter, LetterState
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import ConfigurationError


def test_causes_are_grouped_and_the_most_frequent_comes_first(workbench: Workbench) -> None:
    groups = workbench.groups()

    assert len(groups) == 7
    assert sum(group.count for group in groups) == 500
    assert (groups[0].fingerprint, groups[0].count) == ("1:aaaa0001", 243)
    assert workbench.letter(groups[0].sample).time == groups[0].last


def test_pages_have_every_letter_once_and_the_latest_first(workbench: Workbench) -> None:
    pages, before = [], None
    while page := workbench.letters(before=before, limit=70):
        pages.append(page)
        before = page[-1].id

    letters = [letter for page in pages for letter in page]
    assert [letter.id for letter in letters] == [each.id for each in reversed(dead_letters())]


def test_lists_have_no_data_and_a_letter_has_them(workbench: Workbench) -> None:
    listed = workbench.letters(limit=1)[0]

    assert (listed.data, listed.size) == (b"", 45)
    assert workbench.letter(listed.id).size == len(workbench.letter(listed.id).data)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Filter(), 500),
        (Filter(task="ship"), 86),
        (Filter(fingerprint="1:aaaa0004"), 43),
        (Filter(fingerprint="1:"), 458),
        (Filter(attributes=["tenant=college-3"]), 17),
        (Filter(attributes=["tenant", "ucam_faas_reason"]), 458),
        (Filter(attributes=["tenant=college"]), 0),
        (Filter(text="shop.parcels"), 43),
        (Filter(text="SHOP.PARCELS"), 43),
        (Filter(text="Müller 17"), 11),
        (Filter(text="%"), 0),
        (Filter(text="10499"), 1),
        (Filter(since=BEGIN.timestamp() + 30, until=BEGIN.timestamp() + 90), 1),
        (Filter(ids=["ship-dead/3", "ship-dead/999"]), 1),
        (Filter(states=frozenset({LetterState.HANDLED})), 0),
        (Filter(task="'; DROP TABLE letters; --"), 0),
    ],
    ids=str,
)
def test_a_filter_chooses_all_that_match(workbench: Workbench, chosen: Filter, count: int) -> None:
    assert workbench.count(chosen) == count
    assert len(workbench.letters(chosen, limit=1000)) == count
    assert sum(group.count for group in workbench.groups(chosen)) == count


def test_handled_letters_wait_no_more_until_they_are_reopened(workbench: Workbench) -> None:
    assert workbench.handled(Filter(task="ship"), "the parcel service was down") == 86
    assert workbench.count() == 414
    assert workbench.handled(Filter(task="ship")) == 0

    handled = workbench.letters(Filter(states=frozenset({LetterState.HANDLED})), limit=1)[0]
    assert (handled.note, handled.by) == ("the parcel service was down", "ada@laptop")

    assert workbench.reopen([handled.id]) == 1
    assert workbench.count() == 415
    journal = [(entry.what, entry.detail) for entry in workbench.journal(letter=handled.id)]
    assert journal == [("reopened", ""), ("handled", "the parcel service was down")]


def test_no_ids_choose_no_letters(workbench: Workbench) -> None:
    """A script whose search found none must not purge them all."""
    assert workbench.handled([]) == workbench.purge([]) == 0
    assert list(workbench.each([])) == []
    assert workbench.count() == 500


def test_an_edit_is_a_diff_and_can_be_taken_back(workbench: Workbench) -> None:
    id = workbench.letters(limit=1)[0].id

    diff = workbench.edit(id, data=b'{"order": 499, "customer": "Smith"}')

    assert '-  "customer": "Müller 499",' in diff.lines
    assert '+  "customer": "Smith",' in diff.lines
    assert workbench.content(id).attributes == {"tenant": "college-3"}
    assert workbench.letter(id).edited
    assert workbench.diff(id) == diff
    workbench.unedit(id)
    assert not workbench.diff(id)
    assert not workbench.letter(id).edited
    assert [entry.what for entry in workbench.journal(letter=id)] == ["unedited", "edited"]
    assert workbench.journal(letter=id)[1].detail == str(diff)


def test_edits_of_data_and_attributes_add_up(workbench: Workbench) -> None:
    id = workbench.letters(limit=1)[0].id

    workbench.edit(id, attributes={"tenant": "college-4"})
    workbench.edit(id, data=b"\xff\x00")

    assert workbench.content(id) == Content(b"\xff\x00", {"tenant": "college-4"})
    workbench.edit(id, data=workbench.letter(id).data, attributes={"tenant": "college-3"})
    assert not workbench.letter(id).edited


def test_an_edit_that_pubsub_would_refuse_is_refused(workbench: Workbench) -> None:
    id = workbench.letters(limit=1)[0].id

    with pytest.raises(ConfigurationError, match="without data or an attribute"):
        workbench.edit(id, data=b"", attributes={})
    with pytest.raises(ConfigurationError, match="There is no dead letter 'x/1'"):
        workbench.edit("x/1", data=b"1")


def test_a_letter_is_found_by_any_id_that_a_log_has(workbench: Workbench) -> None:
    letter = workbench.letters(Filter(task="ship"), limit=1)[0]

    for id in (letter.id, letter.message_id, letter.original_id):
        assert workbench.find(id) == [letter.id]
    assert workbench.find("nothing") == []


def test_a_letter_that_is_found_again_keeps_what_was_done(tmp_path: Path) -> None:
    book = filled_book(tmp_path / "book.sqlite3", 10)
    book.mark(Filter(ids=["ship-dead/3"]), LetterState.HANDLED, by="ada")

    assert book.put(dead_letters(12)).new == 2
    assert _state(book, "ship-dead/3") is LetterState.HANDLED


def test_a_letter_that_comes_back_waits_again(tmp_path: Path) -> None:
    book = filled_book(tmp_path / "book.sqlite3", 10)
    book.mark(Filter(ids=["ship-dead/3"]), LetterState.GONE, by="ada")

    book.put(dead_letters(10))

    assert _state(book, "ship-dead/3") is LetterState.NEW


def test_another_message_by_the_same_id_is_another_letter(tmp_path: Path) -> None:
    """A local cloud without its state counts from the beginning."""
    book = filled_book(tmp_path / "book.sqlite3", 10)
    book.mark(Filter(ids=["ship-dead/3"]), LetterState.REPLAYED, by="ada")
    other = replace(dead_letters(4)[3], data=b"other", hash="other", sent=0.0)

    assert book.put([other]).new == 1
    assert _state(book, "ship-dead/3") is LetterState.NEW
    assert _letter(book, "ship-dead/3").data == b"other"


def test_the_book_is_readable_for_its_owner_alone(tmp_path: Path) -> None:
    book = filled_book(tmp_path / "book.sqlite3", 10)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}
    book.close()


def overwrite(path: Path) -> None:
    path.write_bytes(b"something else, and longer than a header" * 100)


def give_other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE letters (number INTEGER)")


def rename_a_column(path: Path) -> None:
    filled_book(path, 1).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE letters RENAME COLUMN time TO moment")


@pytest.mark.parametrize("break_it", [overwrite, give_other_tables, rename_a_column])
def test_a_broken_book_is_named_with_what_to_do_and_a_new_one_is_made(
    tmp_path: Path, break_it: Callable[[Path], None]
) -> None:
    path = tmp_path / "book.sqlite3"
    break_it(path)
    book = Book(path)

    with pytest.raises(BookError, match=r"still in Pub/Sub.*Move it away.*`mv .*book\.sqlite3\*"):
        book.letters(Filter())
    for file in tmp_path.glob("book.sqlite3*"):
        file.unlink()

    assert book.letters(Filter()) == []
    book.close()


def test_a_file_that_is_replaced_is_seen_by_all_threads_at_once(tmp_path: Path) -> None:
    """A connection that was in use meanwhile isn't used again, and its end harms no new letters."""
    path = tmp_path / "book.sqlite3"
    book = filled_book(path, 10)
    with book.database.reading():
        for file in tmp_path.glob("book.sqlite3*"):
            file.rename(tmp_path / f"old-{file.name}")
        other = filled_book(path, 3)
        assert book.count(Filter()) == 3

    assert [book.count(Filter()) for _ in range(3)] == [3, 3, 3]
    assert list(tmp_path.glob("book.sqlite3-wal")), "the end of the old connection took it"
    other.close()
    book.close()


def _state(book: Book, id: str) -> LetterState:
    return _letter(book, id).state


def _letter(book: Book, id: str) -> Letter:
    letter = book.letter(id)
    assert letter is not None
    return letter
