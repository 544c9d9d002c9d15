"""Purges and archives: letters end without a replay, and can be published again by hand."""

from __future__ import annotations

import json
import stat
from base64 import b64decode
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from tests.support.dead_letters import dead_message
from tests.support.replays import KEEPER, Killed, Mortal, Scene, letter
from ucam_faas.dead_letters import purges
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import LetterState, letter_of
from ucam_faas.dead_letters.source import SourceError
from ucam_faas.dead_letters.targets import Unknown
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import ConfigurationError

PURGED = Filter(states=frozenset({LetterState.PURGED}))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_a_purge_acknowledges_all_letters_that_match_and_no_others(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(300)))
    bench, counts = scene.bench(), []
    bench.mirror()
    wanted = bench.count(Filter(task="charge"))

    assert bench.purge(Filter(task="charge"), counts.append) == wanted

    assert counts[-1] == wanted
    assert len(scene.pubsub.ids(KEEPER)) == bench.count() == 300 - wanted
    assert bench.count(PURGED) == wanted
    assert len(scene.pubsub.pull(KEEPER)) == 100  # the others are released
    letter = bench.letters(PURGED, limit=1)[0]
    assert bench.letter(letter.id).data
    assert bench.journal(letter=letter.id)[0].what == "purged"


def test_handled_letters_can_be_purged(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(3)))
    bench = scene.bench()
    bench.mirror()
    bench.handled([f"{KEEPER}/1"])

    assert bench.purge(Filter(states=frozenset({LetterState.HANDLED}))) == 1
    assert scene.pubsub.ids(KEEPER) == ["0", "2"]


def test_a_letter_that_a_plan_sends_is_not_purged(scene: Scene) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    scene.targets.refuses = lambda replay: Unknown("silence")
    bench.run(bench.plan(Filter()).id)

    assert bench.purge(Filter()) == 0
    assert scene.pubsub.ids(KEEPER) == ["1"]


def test_another_message_by_the_same_id_is_not_purged(scene: Scene) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    other = letter_of(dead_message(1).model_copy(update={"data": b"other"}), KEEPER)
    bench.book.put([other])

    assert bench.purge([f"{KEEPER}/1"]) == 0
    assert scene.pubsub.ids(KEEPER) == ["1"]


@pytest.mark.slow
def test_a_purge_that_is_killed_at_any_step_keeps_all_others(tmp_path: Path) -> None:
    steps, was_killed = 0, True
    while was_killed:
        folder = tmp_path / str(steps)
        folder.mkdir()
        scene = Scene(folder)
        scene.publish(*map(dead_message, range(5)))
        bench, mortal = scene.bench(), Mortal(steps)
        bench.mirror()
        try:
            scene.bench(mortal).purge([f"{KEEPER}/1", f"{KEEPER}/2"])
        except Killed:
            assert len(bench.letters(Filter(states=frozenset()))) == 5
        scene.bench().purge([f"{KEEPER}/1", f"{KEEPER}/2"])
        scene.bench().mirror()
        assert scene.pubsub.ids(KEEPER) == ["0", "3", "4"]
        assert bench.count() == 3
        scene.close()
        was_killed, steps = mortal.is_dead, steps + 1
    assert steps > 5


@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_purge_that_stood_still_marks_only_letters_that_are_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """A process that was stopped goes on after the ends of its leases, in a request or between."""
    monkeypatch.setattr(purges, "BATCH", 10)
    scene.publish(*map(dead_message, range(30)))
    bench, counts = scene.bench(), []
    bench.mirror()
    acknowledge, calls = scene.pubsub.acknowledge, count(1)

    def acknowledge_late(subscription: str, ack_ids: Sequence[str]) -> None:
        if next(calls) == late:
            scene.clock.advance(120)
            ids = [each.ack_id for each in scene.pubsub.pull(KEEPER)]  # by a colleague
            scene.pubsub.extend(KEEPER, ids[:3], 600)
            scene.pubsub.extend(KEEPER, ids[3:], 0)
        acknowledge(subscription, ack_ids)

    def purged(number: int) -> None:
        counts.append(number)
        if number == 10:
            scene.clock.advance(120)

    monkeypatch.setattr(scene.pubsub, "acknowledge", acknowledge_late)

    assert bench.purge(Filter(), purged) == 27

    left = {f"{KEEPER}/{id}" for id in scene.pubsub.ids(KEEPER)}
    assert len(left) == 3
    assert {letter.id for letter in bench.letters(Filter())} == left


def test_pubsub_that_fails_in_a_purge_is_named(scene: Scene) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    scene.pubsub.kept.clear()

    with pytest.raises(SourceError, match="NOT_FOUND"):
        bench.purge(Filter())
    assert bench.count() == 1


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_archive_has_everything_to_publish_letters_again(
    workbench: Workbench, tmp_path: Path
) -> None:
    path = tmp_path / "letters.jsonl"
    workbench.handled(Filter(task="ship"), "the parcel service was down")

    assert workbench.archive(Filter(states=frozenset()), path) == 500

    lines = lines_of(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line["message_id"] for line in lines] == [str(number) for number in range(500)]
    line = lines[3]
    assert (line["task"], line["state"], line["note"]) == (
        "ship",
        "handled",
        "the parcel service was down",
    )
    assert line["sent"] == "2026-03-01T12:03:00+00:00"
    for name in ("message", "dead_letter"):
        PubsubMessage.model_validate(line[name])
    assert line["message"]["attributes"] == {"tenant": "college-3"}  # type: ignore[index]
    assert line["dead_letter"]["attributes"] == dead_message(3).attributes  # type: ignore[index]
    assert b64decode(line["message"]["data"]) == dead_message(3).data  # type: ignore[index]
    assert workbench.journal(letter="ship-dead/3")[0].detail == str(path)


def test_an_archive_has_edits_and_bytes_and_keys(scene: Scene, tmp_path: Path) -> None:
    scene.publish(letter(1, key="a"), letter(2))
    bench = scene.bench()
    bench.mirror()
    bench.edit(f"{KEEPER}/1", data=b"\xff\x00")

    bench.archive(Filter(), tmp_path / "letters.jsonl")

    first, second = (
        PubsubMessage.model_validate(line["message"])
        for line in lines_of(tmp_path / "letters.jsonl")
    )
    assert (first.data, first.ordering_key, second.ordering_key) == (b"\xff\x00", "a", "")


def test_an_archive_replaces_no_file(workbench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    path.write_text("mine")

    with pytest.raises(ConfigurationError, match=r"letters\.jsonl exists"):
        workbench.archive(Filter(), path)
    assert path.read_text() == "mine"
    with pytest.raises(ConfigurationError, match="can't be written"):
        workbench.archive(Filter(), tmp_path / "nowhere" / "letters.jsonl")
