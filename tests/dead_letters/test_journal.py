"""The journal: how much it keeps, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dead_letters import dead_message
from tests.support.replays import KEEPER, Scene
from ucam_faas.dead_letters import journal
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.exceptions import ConfigurationError


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    scene.publish(*map(dead_message, range(5)))
    scene.bench().mirror()
    yield scene
    scene.close()


def test_an_entry_is_cut_and_the_whole_edit_is_kept(scene: Scene) -> None:
    """An edit may be as large as a message; the journal isn't the place for it."""
    bench, id = scene.bench(), f"{KEEPER}/1"
    data = b"\n".join(b"%d" % number * 50 for number in range(30))

    diff = bench.edit(id, data=data)
    bench.handled([id], "because " * 1_000)

    handled, edited = bench.journal(letter=id)
    beginning, _, cut = edited.detail.rpartition("\n")
    assert beginning == str(diff)[:2_000]
    assert cut == f"… {len(str(diff)) - 2_000:,} more characters"
    assert handled.detail.endswith("… 6,000 more characters")
    assert bench.content(id).data == data
    assert bench.diff(id) == diff


def test_what_a_replay_has_sent_is_kept_with_its_letter(scene: Scene) -> None:
    bench, id = scene.bench(), f"{KEEPER}/1"
    bench.edit(id, data=b"1")
    bench.run(bench.plan([id]).id)

    for change in (lambda: bench.edit(id, data=b"2"), lambda: bench.unedit(id)):
        with pytest.raises(ConfigurationError, match="was replayed"):
            change()
    assert bench.content(id).data == b"1"


def test_old_entries_are_forgotten(scene: Scene) -> None:
    bench = scene.bench()
    bench.handled([f"{KEEPER}/1"])
    scene.clock.advance(300 * 24 * 3600)
    bench.handled([f"{KEEPER}/2"])
    scene.clock.advance(67 * 24 * 3600)

    bench.mirror()

    whats = [(entry.what, entry.letter) for entry in bench.journal()]
    assert whats == [("handled", f"{KEEPER}/2")]
    scene.clock.advance(400 * 24 * 3600)
    bench.mirror()
    assert bench.journal() == []


def test_the_latest_entries_are_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_ENTRIES", 3)
    bench = scene.bench()
    bench.handled(Filter())
    latest = bench.journal()[:3]

    bench.mirror()

    assert bench.journal() == latest
