"""The backends of a folder with a `ucam-faas dev`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time

import pytest

from tests.support.dead_letters import MemoryPubsub, dead_message
from tests.support.history import published, write
from tests.support.replays import KEEPER
from ucam_faas import local_state
from ucam_faas.backends.local import LocalBackends
from ucam_faas.dashboard.app import make_app
from ucam_faas.dead_letters.book import FILE as BOOK_FILE, Book
from ucam_faas.dead_letters.parser import ParserError
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.history.database import FILE
from ucam_faas.history.events import DeadLettered
from ucam_faas.local_state import FOLDER, LocalCloud

from .asgi import call
from .shop import Html


@pytest.mark.parametrize("keeps", [True, False], ids=["with a history", "with --memory"])
def test_the_history_of_an_earlier_session_is_not_shown_as_this_ones(
    tmp_path: Path, keeps: bool
) -> None:
    history = local_state.make_home(tmp_path) / FILE
    write(history, [])
    cloud = LocalCloud(
        pubsub="127.0.0.1:1",
        scheduler="127.0.0.1:1",
        project="local",
        jobs=f"sqlite:{tmp_path / FOLDER / 'jobs.db'}",
        history=str(history) if keeps else "",
    )

    with local_state.held(tmp_path):
        local_state.write(tmp_path, cloud)

        assert (LocalBackends(tmp_path)().history is not None) == keeps


def test_without_a_dev_its_history_is_shown_and_how_to_act_is_said(tmp_path: Path) -> None:
    write(local_state.make_home(tmp_path) / FILE, [published("17")])
    backends = LocalBackends(tmp_path)

    page = call(make_app(backends), "GET", "/messages").text

    assert "No <code>ucam-faas dev</code> runs here: this is its history." in page
    assert "/messages/17" in page


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Return the folder of a dev that has ended: one of its two dead letters was dealt with."""
    home = local_state.make_home(tmp_path)
    begin = time()
    events = [[published(id), DeadLettered(begin, "store", id, "dead", id * 2)] for id in "12"]
    write(home / FILE, [event for pair in events for event in pair])
    pubsub = MemoryPubsub()
    pubsub.subscribe(KEEPER, KEEPER)
    pubsub.publish(KEEPER, dead_message(0), dead_message(1))
    bench = Workbench(Book(home / BOOK_FILE), pubsub, by="ann")
    bench.mirror()
    bench.handled([bench.letters()[0].id])
    bench.close()
    return tmp_path


def test_without_a_dev_letters_that_were_settled_dont_wait(left: Path) -> None:
    site = make_app(LocalBackends(left))

    for url in ("/", "/dead-letters"):
        text = Html(call(site, "GET", url).text).text
        assert "These are the dead letters as they were copied" in text
        assert "2 dead letters" not in text
        assert "1 dead letter " in text


def test_without_a_dev_nothing_can_be_done_with_letters(left: Path) -> None:
    site = make_app(LocalBackends(left))

    page = Html(call(site, "GET", "/dead-letters").text)
    looked = call(site, "POST", "/dead-letters/mirror", form={})
    handled = call(site, "POST", "/dead-letters/act", form={"do": "handled", "scope": "all"})

    assert 'name="do"' not in call(site, "GET", "/dead-letters").text
    assert "Look again" not in page.text
    assert (looked.status, handled.status) == (409, 403)
    assert "start <code>ucam-faas dev</code> here" in looked.text
    assert "1 dead letter " in Html(call(site, "GET", "/dead-letters").text).text


def test_a_dev_that_was_killed_is_not_asked(left: Path) -> None:
    """Another process has its id by now."""
    cloud = LocalCloud(
        pubsub="127.0.0.1:1", scheduler="127.0.0.1:1", project="local", process=str(os.getpid())
    )
    local_state.write(left, cloud)

    backends = LocalBackends(left)()

    assert "No `ucam-faas dev` runs here" in backends.notice
    assert backends.read_only


def test_no_page_waits_for_a_parser_that_is_under_way(tmp_path: Path) -> None:
    """The code changes while its import hangs: the parser of the new code is there at once."""
    began, end = tmp_path / "began", tmp_path / "end"
    for path in (began, end):
        os.mkfifo(path)
    (tmp_path / "main.py").write_text(f"open({str(began)!r}, 'w').close()\nopen({str(end)!r})\n")
    address = "127.0.0.1:1"
    cloud = LocalCloud(
        pubsub=address, scheduler=address, project="local", jobs="memory", sources=("main.py",)
    )
    backends = LocalBackends(tmp_path)
    with local_state.held(tmp_path), ThreadPoolExecutor() as threads:
        local_state.write(tmp_path, cloud)
        asked = threads.submit(backends().parser.check, "store", b"{}")
        began.read_bytes()
        local_state.write_tasks(tmp_path, [])

        new = threads.submit(backends)
        try:
            assert new.result(timeout=30).parser is not None
            assert not asked.done()
        finally:
            end.write_bytes(b"")
            assert isinstance(asked.exception(), ParserError)
