"""A page and a command use one book at the same time: in threads, and in processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.dead_letters import dead_letters, dead_message, filled_book
from tests.support.replays import KEEPER, Scene
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import LetterState
from ucam_faas.dead_letters.workbench import Report, Workbench

ANY = Filter(states=frozenset())


def test_lists_are_whole_while_a_run_goes_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.publish(*map(dead_message, range(60)))
    bench, page = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    totals = set()

    def look(report: Report) -> None:
        groups = sum(group.count for group in page.groups(ANY))
        totals.add((page.count(ANY), groups, len(page.letters(ANY, limit=100))))
        page.edit(f"{KEEPER}/59", data=b"%d" % report.acked)
        page.handled([f"{KEEPER}/58"])
        page.reopen([f"{KEEPER}/58"])
        assert page.plan(Filter()).excluded == 0

    bench.run(plan.id, rate=10, progress=look)

    assert totals == {(60, 60, 60)}
    assert page.count() == 1  # it was edited after the plan
    scene.close()


@pytest.mark.slow
def test_many_threads_use_one_workbench(tmp_path: Path) -> None:
    bench = Workbench(filled_book(tmp_path / "book.sqlite3", 100), by="ada")
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for letter in bench.letters(limit=20):
                bench.edit(letter.id, data=b"%d" % number)
                bench.handled([letter.id], f"by {number}")
                bench.groups(ANY)
                bench.reopen([letter.id])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert bench.count() == 100
    edits = [entry for entry in bench.journal(limit=10_000) if entry.what == "edited"]
    assert len(edits) == 6 * 20
    bench.close()


_PROCESS = """
import sys
from pathlib import Path
from tests.support.dead_letters import dead_letters
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.workbench import Workbench

path, number = Path(sys.argv[1]), int(sys.argv[2])
bench = Workbench(Book(path), by=str(number))
bench.book.put(dead_letters(50))
for letter in range(10 * number, 10 * number + 10):
    (id,) = bench.find(str(10_000 + letter)) or bench.find(str(letter))[:1]
    bench.handled([id])
"""


@pytest.mark.slow
def test_processes_that_open_a_new_book_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite3"
    command = [sys.executable, "-c", _PROCESS, str(path)]

    processes = [subprocess.Popen([*command, str(number)]) for number in range(4)]

    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    book = Book(path)
    assert book.count(ANY) == len(dead_letters(50))
    assert book.count(Filter(states=frozenset({LetterState.HANDLED}))) == 40
    book.close()


_COMMAND = """
import sys
from pathlib import Path
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import LetterState
book = Book(Path(sys.argv[1]))
book.mark(Filter(), LetterState.HANDLED, by="command")
book.close()
"""


@pytest.mark.slow
def test_the_end_of_a_command_leaves_the_page_its_file(tmp_path: Path) -> None:
    """A process that closes a file of SQLite loses its locks on it, and others take it for free."""
    path = tmp_path / "book.sqlite3"
    page = filled_book(path, 20)
    with page.database.reading(), page.database.reading():
        pass  # two connections: two requests at a time

    subprocess.run([sys.executable, "-c", _COMMAND, str(path)], check=True, timeout=60)

    assert path.with_name(f"{path.name}-wal").exists()
    page.mark(Filter(states=frozenset()), LetterState.NEW, by="page")
    subprocess.run([sys.executable, "-c", _COMMAND, str(path)], check=True, timeout=60)
    assert page.count(Filter(states=frozenset({LetterState.HANDLED}))) == 20
    page.close()
