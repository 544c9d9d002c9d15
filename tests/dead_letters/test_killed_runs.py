"""A run whose process is killed: nothing is lost, and only what was being sent may come twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.replays import KEEPER, Killed, Mortal, Scene, letter, refusing
from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters import runs
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.plans import Plan, RowState
from ucam_faas.dead_letters.source import RestSource
from ucam_faas.dead_letters.targets import CloudTargets, To
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.net.rest import Rest
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.testing import ManualClock
from ucam_faas.testing.pubsub import EmbeddedPubsub

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


def test_a_run_waits_for_leases_that_were_extended_just_before_a_kill(tmp_path: Path) -> None:
    for steps in range(15, 30):
        folder = tmp_path / str(steps)
        folder.mkdir()
        with scene_of(folder) as scene:
            witness = Witness(scene, *map(letter, range(3)))
            for kill in (22, 21, steps):
                witness.run(kill)
            witness.end()


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
        begin, waits = scene.clock.monotonic(), []

        scene.bench().run(witness.plan.id, progress=lambda report: waits.append(report.waits))

        assert 0 < scene.clock.monotonic() - begin <= 80
        assert 0 < waits[0] <= 80
        assert waits[-1] == 0
        witness.end()


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


@pytest.fixture
def killer() -> Iterator[Callable[..., str]]:
    """Returns how a process that runs the newest plan of a book has ended."""
    command = [sys.executable, "-m", "tests.dead_letters.killed_run"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]  # as they are

        def run(*words: object) -> str:
            process.stdin.write(f"{' '.join(map(str, words))}\n")
            process.stdin.flush()
            return str(process.stdout.readline().strip())

        yield run
        process.stdin.close()


def test_a_process_that_is_really_killed_at_any_step_loses_nothing(
    tmp_path: Path, killer: Callable[..., str]
) -> None:
    """With kill -9, SQLite's real file and the embedded Pub/Sub."""
    pubsub, steps, end = EmbeddedPubsub(), 0, "killed"
    try:
        while end == "killed":
            clock = ManualClock()
            pubsub.reset(clock)
            pubsub.create_subscription("charge-dead-letter")
            pubsub.create_subscription("charge-inbox")
            for number in range(3):
                attributes = {"ucam_faas_task": "charge", "number": str(number)}
                pubsub.publish("charge-dead-letter", b"%d" % number, attributes=attributes)
            path = tmp_path / f"{steps}.sqlite3"
            bench = _real_bench(pubsub, path, SystemClock())
            bench.mirror()
            plan = bench.plan(Filter())
            end = killer(steps, path, pubsub.host, pubsub.project)
            uncertain = {row.replay_id for row in bench.rows(plan.id, state=RowState.SENDING)}
            bench.close()

            clock.advance(100)  # the leases end
            later = ManualClock(datetime.now(UTC) + timedelta(seconds=100))
            resumed = _real_bench(pubsub, path, later)
            assert resumed.run(plan.id).left == 0
            resumed.close()

            messages = pubsub.pull("charge-inbox")
            ids = Counter(message.attributes["ucam_faas_replay_id"] for message in messages)
            assert ids.keys() == {f"{plan.id}-{number}" for number in (1, 2, 3)}
            assert {id for id, times in ids.items() if times > 1} <= uncertain
            assert max(ids.values()) <= 2
            assert {message.data for message in messages} == {b"0", b"1", b"2"}
            assert pubsub.pull("charge-dead-letter") == []
            steps += 1
    finally:
        pubsub.close()
    assert (end, steps > 30) == ("done", True)


def _real_bench(pubsub: EmbeddedPubsub, path: Path, clock: Clock) -> Workbench:
    source = RestSource(Rest(pubsub.host), pubsub.project, is_embedded=True)
    targets = CloudTargets(source, RestPublisher(pubsub.host))
    return Workbench(Book(path, clock), source, targets=targets, by="ada@laptop")
