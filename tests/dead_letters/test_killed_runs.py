"""A run whose process is killed: nothing is lost, and only what was being sent may come twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.replays import KEEPER, Killed, Mortal, Scene, letter, refusing
from ucam_faas.dead_letters import runs
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.plans import Plan, RowState
from ucam_faas.dead_letters.targets import To
from ucam_faas.events.messages import PubsubMessage

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)


class Witness:
    """Watches one plan of a scene through any number of processes that end."""

    def __init__(self, scene: Scene, *messages: PubsubMessage) -> None:
        self.scene = scene
        scene.publish(*messages)
        self._bench = scene.bench()
        self._bench.mirror()
        self.plan: Plan = self._bench.plan(Filter())
        self.may_repeat: Counter[str] = Counter()

    @property
    def letters(self) -> list[str]:
        return [row.letter for row in self._bench.rows(self.plan.id)]

    def run(self, steps: int = 1_000_000, rate: float | None = None) -> bool:
        """Run the plan in a process that is killed after so many steps; return True if it was."""
        mortal = Mortal(steps)
        bench = self.scene.bench(mortal)
        with suppress(Killed):
            bench.run(self.plan.id, rate=rate)
        bench.close()
        self._look()
        return mortal.is_dead

    def _look(self) -> None:
        kept = {f"{KEEPER}/{id}" for id in self.scene.pubsub.ids(KEEPER)}
        rows = self._bench.rows(self.plan.id, limit=1_000)
        for row in rows:
            assert row.letter in kept or row.letter in self.scene.targets.letters, "it is lost"
            if row.state in (RowState.SENT, RowState.ACKED):
                assert row.letter in self.scene.targets.letters, "it wasn't sent"
            if row.state is RowState.ACKED:
                assert row.letter not in kept
            self.may_repeat[row.letter] += row.state is RowState.SENDING

    def end(self) -> None:
        """Run the plan to its end, and check what arrived."""
        self.run()
        assert self._bench.plan_of(self.plan.id).left == 0
        assert self.scene.pubsub.ids(KEEPER) == []
        arrived = self.scene.targets.arrived
        times = Counter(each.letter for each in arrived)
        assert times.keys() == set(self.letters)
        for row in self._bench.rows(self.plan.id, limit=1_000):
            ids = {each.replay_id for each in arrived if each.letter == row.letter}
            assert ids == {row.replay_id}
            assert times[row.letter] <= 1 + self.may_repeat[row.letter]
        self._check_order()
        journal = self._bench.journal(plan=self.plan.id)
        done = Counter(entry.letter for entry in journal if entry.what == "replayed")
        assert done == Counter(self.letters)

    def _check_order(self) -> None:
        """A key's letters of a task arrive in their order, and none after a later one."""
        lanes: dict[tuple[str, str], list[str]] = {}
        for each in self.scene.targets.arrived:
            if each.key:
                lanes.setdefault((each.target.place, each.key), []).append(each.letter)
        for letters in lanes.values():
            assert letters == sorted(letters, key=_number)


def _number(letter: str) -> int:
    return int(letter.rpartition("/")[2])


MESSAGES = [letter(5, key="a"), letter(1, key="a"), letter(3), letter(2), letter(4, key="b")]


@contextmanager
def scene_of(folder: Path) -> Iterator[Scene]:
    scene = Scene(folder)
    try:
        yield scene
    finally:
        scene.close()


@pytest.mark.parametrize("to", [To.INBOX, To.PUSH])
def test_a_run_that_is_killed_at_any_step_is_resumed(tmp_path: Path, to: To) -> None:
    steps, was_killed = 0, True
    while was_killed:
        folder = tmp_path / str(steps)
        folder.mkdir()
        with scene_of(folder) as scene:
            scene.targets.kinds = dict.fromkeys(("charge", "ship", "notify"), to)
            witness = Witness(scene, *MESSAGES)
            was_killed = witness.run(steps)
            witness.end()
        steps += 1
    assert steps > 40


@given(
    keys=st.lists(st.sampled_from(["", "", "a", "b"]), min_size=1, max_size=8),
    kills=st.lists(st.integers(0, 60), max_size=6),
    pushed=st.sets(st.sampled_from(["charge", "ship", "notify"])),
    refused=st.sets(st.integers(0, 7), max_size=2),
    rate=st.sampled_from([None, 0.5, 2.0]),
)
@settings(max_examples=100)
def test_any_number_of_kills_and_refusals_lose_nothing(
    keys: list[str], kills: list[int], pushed: set[str], refused: set[int], rate: float | None
) -> None:
    with TemporaryDirectory() as folder, scene_of(Path(folder)) as scene:
        scene.targets.kinds = dict.fromkeys(pushed, To.PUSH)
        witness = Witness(scene, *(letter(n, key=key) for n, key in enumerate(keys)))
        scene.targets.refuses = refusing(*(f"{KEEPER}/{number}" for number in refused))
        for steps in kills:
            witness.run(steps, rate)
        scene.targets.refuses = lambda replay: None
        witness.end()


def test_a_mirror_between_two_runs_changes_nothing(tmp_path: Path) -> None:
    """The page may look while a plan waits to be resumed."""
    for steps in range(0, 60, 3):
        folder = tmp_path / str(steps)
        folder.mkdir()
        with scene_of(folder) as scene:
            witness = Witness(scene, *MESSAGES)
            witness.run(steps)
            scene.bench().mirror()
            witness.end()


def test_a_run_waits_for_the_leases_of_one_that_was_killed(tmp_path: Path) -> None:
    with scene_of(tmp_path) as scene:
        witness = Witness(scene, *MESSAGES)
        witness.run(10)
        assert scene.pubsub.pull(KEEPER) == []
        begin = scene.clock.monotonic()

        witness.end()

        assert 0 < scene.clock.monotonic() - begin <= 80


def test_a_cancelled_wait_for_leases_stops(tmp_path: Path) -> None:
    with scene_of(tmp_path) as scene:
        witness = Witness(scene, *MESSAGES)
        witness.run(10)
        other = scene.bench()
        sleep, bench = scene.clock.sleep, scene.bench()

        def cancel(seconds: float) -> None:
            sleep(seconds)
            other.cancel(witness.plan.id)

        scene.clock.sleep = cancel  # type: ignore[method-assign]  # of this one
        report = bench.run(witness.plan.id)
        scene.clock.sleep = sleep  # type: ignore[method-assign]

        assert report.is_cancelled
        witness.end()
