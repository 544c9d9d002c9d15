"""Pages beside a book of dead letters that can't be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time

import pytest

from tests.support import history
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.jobs.rows import Key

from .shop import FAILED, Html, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a shop with a history, a failed job, and a file that isn't a book."""
    path = tmp_path / "dead-letters.sqlite3"
    path.write_bytes(b"something else, and longer than a header" * 100)
    bench = Workbench(Book(path), by="ann")
    shop = Shop(tmp_path, history.realistic(time() - 1800, big=10), workbench=bench)
    shop.send(Key("shop", "charge", "1"))
    shop.end(Key("shop", "charge", "1"), FAILED)
    yield shop
    bench.close()
    shop.close()


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("/", "charge KeyError 1 failed job"),
        ("/messages/19", "Timeline"),
        ("/jobs/charge/1", "KeyError"),
        ("/search?q=umbrella", "Messages"),
    ],
)
def test_a_page_shows_the_rest_and_says_what_to_do(
    shop: Shop, tmp_path: Path, url: str, rest: str
) -> None:
    answer = shop.get(url)

    text = Html(answer.text).text
    assert answer.status == 200
    assert rest in text
    assert "The dead letters can't be read: The book of dead letters" in text
    assert "are still in Pub/Sub" in text
    assert f"mv {tmp_path}/dead-letters.sqlite3* /tmp" in text


def test_the_list_of_dead_letters_says_what_to_do(shop: Shop, tmp_path: Path) -> None:
    answer = shop.get("/dead-letters")

    assert answer.status == 502
    assert f"mv {tmp_path}/dead-letters.sqlite3* /tmp" in Html(answer.text).text


def test_pages_say_nothing_about_a_book_that_is_fine(shop: Shop, tmp_path: Path) -> None:
    bench = Workbench(Book(tmp_path / "another.sqlite3"), by="ann")
    shop.backends = replace(shop.backends, workbench=bench)

    assert "can't be read" not in shop.get("/").text
    assert "can't be read" not in shop.get("/messages/19").text
    bench.close()
