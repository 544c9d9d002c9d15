"""Plans and runs: the letters that are sent, their order, and those that are left."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.dead_letters import dead_message
from tests.support.replays import KEEPER, Killed, Scene, letter, refusing
from ucam_faas.dead_letters import book, planning
from ucam_faas.dead_letters.book_lock import BookBusyError
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Letter, LetterState, letter_of
from ucam_faas.dead_letters.plans import Excluded, NoPlanError, Plan, RowState
from ucam_faas.dead_letters.runs import Run
from ucam_faas.dead_letters.targets import Refused, To, Unknown
from ucam_faas.dead_letters.workbench import Report, Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import ConfigurationError

ALL = Filter(states=frozenset())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_a_run_sends_all_letters_of_its_plan_and_acknowledges_them(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(250)))
    bench = scene.bench()
    bench.mirror()

    plan = bench.plan(Filter(task="charge"))
    report = bench.run(plan.id)

    count = bench.count(Filter(task="charge", states=frozenset({LetterState.REPLAYED})))
    assert plan.total == count == report.total == report.acked == report.sent > 100
    assert (report.left, report.failed, report.problem) == (0, 0, "")
    assert {each.target.place for each in scene.targets.arrived} == {"charge"}
    assert len(scene.pubsub.ids(KEEPER)) == 250 - count
    assert bench.count() == 250 - count
    assert bench.mirror().pulled == 250 - count


@pytest.mark.slow
def test_all_3_000_letters_are_sent_and_not_a_page(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(3_000)))
    bench = scene.bench()
    bench.mirror()

    report = bench.run(bench.plan(Filter()).id)

    assert (report.total, report.acked, bench.count()) == (3_000, 3_000, 0)
    assert len(set(scene.targets.letters)) == len(scene.targets.letters) == 3_000
    assert scene.pubsub.ids(KEEPER) == []


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_a_rate_that_sends_nothing_is_refused(scene: Scene, rate: float) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()

    with pytest.raises(ConfigurationError, match="more than 0"):
        bench.run(bench.plan(Filter()).id, rate=rate)


def test_a_plan_sends_nothing(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(10)))
    bench = scene.bench()
    bench.mirror()

    plan = bench.plan(Filter())

    assert (plan.total, plan.left, dict(plan.counts)) == (10, 10, {RowState.PLANNED: 10})
    assert plan.targets["charge"] == ("8 messages go to charge",)
    assert [row.letter for row in bench.rows(plan.id)] == [f"{KEEPER}/{n}" for n in range(10)]
    assert (scene.targets.arrived, len(scene.pubsub.ids(KEEPER))) == ([], 10)
    assert bench.plans() == [plan]


def test_memory_holds_only_some_of_the_letters_of_a_plan(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be 100,000."""
    monkeypatch.setattr(planning, "PORTION", 10)
    bench = scene.bench()
    large = {"trace": "x" * 1_000}

    def peak(count: int) -> int:
        bench.book.put(letter_of(letter(n, **large), KEEPER) for n in range(count))
        tracemalloc.start()
        bench.plan(Filter())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(50), peak(500)

    assert many < 2 * few
    plan = bench.plans(limit=1)[0]
    assert [row.letter for row in bench.rows(plan.id, limit=500)] == [
        f"{KEEPER}/{n}" for n in range(500)
    ]


def test_a_letter_that_was_handled_after_the_plan_isnt_sent_until_it_is_reopened(
    scene: Scene,
) -> None:
    scene.publish(*map(dead_message, range(3)))
    bench = scene.bench()
    bench.mirror()
    bench.handled([f"{KEEPER}/0"])
    plan = bench.plan([f"{KEEPER}/{number}" for number in range(3)])
    scene.clock.advance(1)
    bench.handled([f"{KEEPER}/1"], note="refunded by hand")

    report = bench.run(plan.id)

    assert (report.total, report.acked, report.failed, report.left) == (3, 2, 1, 1)
    (row,) = bench.rows(plan.id, state=RowState.FAILED)
    assert row.letter == f"{KEEPER}/1"
    assert row.reason == "it was noted as handled after the plan was made: reopen it to send it"
    bench.reopen([row.letter])
    assert bench.run(plan.id).acked == 3


def test_a_replay_has_the_bytes_attributes_and_key_of_the_message(scene: Scene) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    odd = PubsubMessage(
        data=b"\xff\x00",
        attributes={**dead_message(0).attributes, "ü": "\n", "traceparent": trace},
        ordering_key="order-17",
        message_id="7",
        publish_time=scene.clock.now(),
    )
    scene.publish(odd)
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    bench.run(plan.id)

    (arrived,) = scene.targets.arrived
    assert (arrived.data, arrived.key) == (b"\xff\x00", "order-17")
    assert arrived.attributes == {
        "tenant": "college-0",
        "ü": "\n",
        "traceparent": trace,
        "ucam_faas_replay_id": f"{plan.id}-1",
        "ucam_faas_replays": "1",
        "ucam_faas_message_id": dead_message(0).attributes["ucam_faas_message_id"],
    }


def test_an_edited_letter_is_sent_as_edited(scene: Scene) -> None:
    scene.publish(dead_message(1), dead_message(2))
    bench = scene.bench()
    bench.mirror()
    bench.edit(f"{KEEPER}/1", data=b'{"order": 1}', attributes={"tenant": "other"})
    plan = bench.plan(Filter())

    bench.run(plan.id)

    edited, other = scene.targets.arrived
    assert (plan.edited, edited.data, edited.attributes["tenant"]) == (1, b'{"order": 1}', "other")
    assert other.data == dead_message(2).data
    assert bench.journal(letter=f"{KEEPER}/1", limit=1)[0].detail.endswith(", edited")


def test_a_letter_that_was_edited_after_its_plan_is_not_sent(scene: Scene) -> None:
    """The plan is the review."""
    scene.publish(dead_message(1), dead_message(2))
    bench = scene.bench()
    bench.mirror()
    bench.edit(f"{KEEPER}/1", data=b"1")
    plan = bench.plan(Filter())
    bench.edit(f"{KEEPER}/1", data=b"2")

    report = bench.run(plan.id)

    assert (report.acked, report.failed) == (1, 1)
    (row,) = bench.rows(plan.id, state=RowState.FAILED)
    assert row.reason == "it, or its edit, has changed after the plan was made: make a new one"
    assert bench.count() == 1


def test_an_edit_that_is_taken_back_while_a_run_reads_its_letter_fails_the_row(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.publish(dead_message(1))
    bench, page = scene.bench(), scene.bench()
    bench.mirror()
    bench.edit(f"{KEEPER}/1", data=b"1")
    plan = bench.plan(Filter())
    read = bench.book.with_data

    def read_late(ids: Sequence[str]) -> list[Letter]:
        letters = read(ids)
        page.unedit(f"{KEEPER}/1")
        return letters

    monkeypatch.setattr(bench.book, "with_data", read_late)

    assert bench.run(plan.id).failed == 1
    assert "has changed after the plan" in bench.rows(plan.id)[0].reason
    assert scene.targets.arrived == []


def test_memory_holds_only_some_large_letters_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """100 letters may have 1 GB."""
    monkeypatch.setattr(book, "PORTION_BYTES", 100)
    scene.publish(*(letter(n).model_copy(update={"data": b"x" * 40}) for n in range(7)))
    bench = scene.bench()
    bench.mirror()
    read, portions = bench.book.with_data, []

    def count(ids: Sequence[str]) -> list[Letter]:
        portions.append(len(ids))
        return read(ids)

    monkeypatch.setattr(bench.book, "with_data", count)

    assert bench.archive(Filter(), tmp_path / "letters.jsonl") == 7
    assert bench.run(bench.plan(Filter()).id).acked == 7
    assert portions == 2 * [2, 2, 2, 1]


def test_a_second_replay_needs_again(scene: Scene) -> None:
    scene.publish(letter(1, ucam_faas_replays="1"), letter(2, ucam_faas_replays="3"), letter(3))
    bench = scene.bench()
    bench.mirror()

    plan = bench.plan(Filter())
    again = bench.plan(Filter(), again=True)

    assert (plan.total, plan.excluded, again.total) == (1, 2, 3)
    assert [each.reason.partition(":")[0] for each in bench.exclusions(plan.id)] == [
        "it was replayed once before, and died again",
        "it was replayed 3 times before, and died again",
    ]
    bench.run(again.id)
    numbers = [each.attributes["ucam_faas_replays"] for each in scene.targets.arrived]
    assert numbers == ["2", "4", "1"]


def test_a_plan_says_why_it_leaves_letters_out(scene: Scene) -> None:
    many = {f"a{number}": "x" for number in range(98)}
    scene.publish(letter(1, **many), letter(2, ucam_faas_task="nowhere"), letter(3))
    bench = scene.bench()
    bench.mirror()
    bench.run(bench.plan([f"{KEEPER}/3"]).id)

    plan = bench.plan(ALL)

    assert bench.exclusions(plan.id) == [
        Excluded(f"{KEEPER}/1", "its attributes leave no room for the 2 of a replay"),
        Excluded(f"{KEEPER}/2", "the task nowhere has neither an inbox nor an endpoint here"),
        Excluded(
            f"{KEEPER}/3",
            "it was replayed already; to send it once more, publish its payload: "
            "`ucam-faas publish`",
        ),
    ]
    assert sum(plan.reasons.values()) == plan.excluded == 3


def test_keys_go_oldest_first_and_one_at_a_time(scene: Scene) -> None:
    """The targets fail if two letters of a key are in flight."""
    numbers = [5, 3, 9, 1, 7, 2, 8]
    scene.publish(*(letter(number, key=f"key-{number % 2}") for number in numbers))
    bench = scene.bench()
    bench.mirror()

    bench.run(bench.plan(Filter()).id)

    by_key: dict[str, list[int]] = {"key-0": [], "key-1": []}
    for each in scene.targets.arrived:
        by_key[each.key].append(int(each.letter.rpartition("/")[2]))
    assert by_key == {"key-0": [2, 8], "key-1": [1, 3, 5, 7, 9]}


def test_a_letter_that_fails_holds_back_the_later_ones_of_its_key(scene: Scene) -> None:
    scene.publish(letter(1, key="a"), letter(2, key="a"), letter(3, key="b"), letter(4))
    scene.targets.kinds = dict.fromkeys(("charge", "ship", "notify"), To.PUSH)
    scene.targets.refuses = refusing(f"{KEEPER}/1")
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    report = bench.run(plan.id)

    assert sorted(scene.targets.letters) == [f"{KEEPER}/3", f"{KEEPER}/4"]
    assert (report.acked, report.failed, report.left) == (2, 1, 2)
    first, second = bench.rows(plan.id)[:2]
    assert (first.state, first.reason) == (RowState.FAILED, "HTTP status 500")
    assert second.reason == "an earlier letter of its key wasn't sent"
    assert sorted(scene.pubsub.ids(KEEPER)) == ["1", "2"]

    scene.targets.refuses = lambda replay: None
    assert bench.run(plan.id).left == 0
    assert scene.targets.letters[2:] == [f"{KEEPER}/1", f"{KEEPER}/2"]


def test_letters_that_another_process_acknowledged_are_not_sent(scene: Scene) -> None:
    scene.publish(dead_message(1), dead_message(2))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    taken = next(each for each in scene.pubsub.pull(KEEPER) if each.message.message_id == "1")
    scene.pubsub.acknowledge(KEEPER, [taken.ack_id])
    scene.clock.advance(10)

    report = bench.run(plan.id)

    assert (scene.targets.letters, report.failed) == ([f"{KEEPER}/2"], 1)
    (row,) = bench.rows(plan.id, state=RowState.FAILED)
    assert row.reason.startswith(f"it isn't on {KEEPER} now")


def test_letters_whose_leases_ended_while_the_process_stood_still_are_taken_again(
    scene: Scene,
) -> None:
    """A laptop sleeps in the middle of a run, and a colleague acknowledges some of the letters."""
    scene.publish(*map(dead_message, range(40)))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    def sleep(report: Report) -> None:
        if report.acked == 10:
            scene.clock.advance(120)
            received = scene.pubsub.pull(KEEPER)[-10:]
            scene.pubsub.acknowledge(KEEPER, [each.ack_id for each in received])
            scene.clock.advance(10)

    report = bench.run(plan.id, rate=10, progress=sleep)

    assert (report.acked, report.failed) == (30, 10)
    assert len(scene.targets.letters) == 30
    assert scene.pubsub.ids(KEEPER) == []


@pytest.mark.parametrize("moment", ["before", "within"])
def test_letters_are_replayed_once_they_are_gone_though_the_process_stood_still(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Pub/Sub answers 200 to a late acknowledgement, and keeps the letter."""
    scene.publish(*map(dead_message, range(5)))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    acknowledge = scene.pubsub.acknowledge

    def acknowledge_late(subscription: str, ack_ids: Sequence[str]) -> None:
        monkeypatch.undo()
        scene.clock.advance(120)
        acknowledge(subscription, ack_ids)

    if moment == "within":
        monkeypatch.setattr(scene.pubsub, "acknowledge", acknowledge_late)
    else:
        scene.targets.refuses = lambda replay: scene.clock.advance(30)  # type: ignore[func-returns-value]

    assert bench.run(plan.id).acked == 5

    assert scene.pubsub.ids(KEEPER) == []
    assert len(scene.targets.letters) == 5


def test_the_rate_is_kept_by_the_clock(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(30)))
    bench = scene.bench()
    bench.mirror()
    begin, times = scene.clock.monotonic(), []
    scene.targets.refuses = lambda replay: times.append(scene.clock.monotonic() - begin)  # type: ignore[func-returns-value]

    bench.run(bench.plan(Filter()).id, rate=5)

    begin = times[0]
    assert [round(time - begin, 3) for time in times] == [n // 5 * 1.0 for n in range(30)]


def test_less_than_one_a_second(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(4)))
    bench = scene.bench()
    bench.mirror()
    times: list[float] = []
    scene.targets.refuses = lambda replay: times.append(scene.clock.monotonic())  # type: ignore[func-returns-value]

    bench.run(bench.plan(Filter()).id, rate=0.01)

    assert [round(time - times[0]) for time in times] == [0, 100, 200, 300]
    assert scene.pubsub.ids(KEEPER) == []  # its leases were extended meanwhile


def test_another_process_cancels_a_run_and_another_run_goes_on(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(30)))
    bench, other = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    def stop(report: Report) -> None:
        assert other.running() == plan.id
        if report.acked >= 10:
            other.cancel(plan.id)

    report = bench.run(plan.id, rate=5, progress=stop)

    assert (report.acked, report.left, report.is_cancelled) == (10, 20, True)
    assert (other.plan_of(plan.id).is_cancelled, other.running()) == (True, None)
    assert len(scene.pubsub.pull(KEEPER)) == 20  # they are released
    scene.clock.advance(10)
    assert other.run(plan.id).left == 0
    assert sorted(scene.targets.letters) == sorted(f"{KEEPER}/{n}" for n in range(30))


def test_a_cancel_while_it_waits_for_its_rate_stops_it_soon(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(3)))
    bench, other = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    begin = scene.clock.monotonic()

    report = bench.run(plan.id, rate=0.001, progress=lambda report: other.cancel(plan.id))

    assert report.is_cancelled
    assert scene.clock.monotonic() - begin < 5


def test_a_cancel_before_a_run_has_begun_stops_it_until_the_plan_is_resumed(scene: Scene) -> None:
    """It waits for a mirror of another process when Control-C comes."""
    scene.publish(*map(dead_message, range(3)))
    bench, other = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    bench.resume(plan.id)
    with other.book.lock.alone(), pytest.raises(BookBusyError):
        bench.run(plan.id, resume=False)
    bench.cancel(plan.id)

    report = bench.run(plan.id, resume=False)

    assert (report.is_cancelled, report.left, scene.targets.arrived) == (True, 3, [])
    assert other.plan_of(plan.id).is_cancelled
    assert other.run(plan.id).left == 0
    assert not other.plan_of(plan.id).is_cancelled


def test_a_second_run_takes_back_no_cancel_that_the_first_has_not_seen(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(30)))
    bench, other = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    def cancel_and_run(report: Report) -> None:
        other.cancel(plan.id)
        with pytest.raises(BookBusyError):
            other.run(plan.id)

    assert bench.run(plan.id, rate=5, progress=cancel_and_run).is_cancelled


def test_a_plan_runs_once_at_a_time(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(3)))
    bench, other = scene.bench(), scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    refusals = []

    def run_again(report: Report) -> None:
        with pytest.raises(BookBusyError):
            other.run(plan.id)
        refusals.append(report)

    bench.run(plan.id, progress=run_again)

    assert len(refusals) == 1
    assert len(scene.targets.arrived) == 3


@pytest.mark.parametrize("status", [404, 500])
def test_a_target_that_refuses_keeps_its_letters(scene: Scene, status: int) -> None:
    scene.publish(*map(dead_message, range(5)))
    scene.targets.kinds = dict.fromkeys(("charge", "ship", "notify"), To.PUSH)
    scene.targets.refuses = lambda replay: Refused(f"HTTP status {status}")
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    report = bench.run(plan.id)

    assert (report.failed, report.acked, bench.count()) == (5, 0, 5)
    assert {row.reason for row in bench.rows(plan.id)} == {f"HTTP status {status}"}
    assert len(scene.pubsub.ids(KEEPER)) == 5


def test_a_run_stops_after_twenty_refusals_in_a_row(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(200)))
    scene.targets.refuses = lambda replay: Refused("HTTP status 500")
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())

    report = bench.run(plan.id, rate=10)

    assert report.problem == "20 letters in a row failed; the last one: HTTP status 500."
    assert report.failed < 100
    assert bench.plan_of(plan.id).problem == report.problem


def test_a_target_that_falls_silent_is_asked_again_with_the_same_id(scene: Scene) -> None:
    scene.publish(*map(dead_message, range(3)))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")

    report = bench.run(plan.id)
    assert (report.problem, report.uncertain) == ("Pub/Sub does not answer.", 3)
    scene.targets.refuses = lambda replay: None
    assert bench.run(plan.id).acked == 3

    ids = [each.replay_id for each in scene.targets.arrived]
    assert sorted(ids) == sorted(2 * [f"{plan.id}-{n}" for n in (1, 2, 3)])


def test_a_letter_that_a_plan_sends_is_in_no_other(scene: Scene) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")
    bench.run(plan.id)

    other = bench.plan(Filter())

    assert bench.exclusions(other.id) == [
        Excluded(f"{KEEPER}/1", f"the plan {plan.id} sends it: run that one to its end")
    ]


def test_a_plan_sends_no_letter_of_a_key_that_another_plan_is_sending(scene: Scene) -> None:
    """Where one is uncertain, the later ones would overtake it."""
    scene.publish(letter(1, key="a"), letter(2, key="a"), letter(3))
    bench = scene.bench()
    bench.mirror()
    first, second = bench.plan([f"{KEEPER}/1"]), bench.plan([f"{KEEPER}/2"])
    scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")
    bench.run(first.id)
    scene.targets.refuses = lambda replay: None

    third = bench.plan(Filter())
    reason = f"the plan {first.id} sends a letter of its key: run that one to its end"
    assert {each.letter: each.reason for each in bench.exclusions(third.id)}[
        f"{KEEPER}/2"
    ] == reason
    assert bench.run(second.id).failed == 1
    assert bench.rows(second.id)[0].reason == reason
    assert bench.run(first.id).acked == bench.run(second.id).acked == 1


def test_two_plans_send_a_letter_once(scene: Scene) -> None:
    scene.publish(dead_message(1), dead_message(2))
    bench = scene.bench()
    bench.mirror()
    first, second = bench.plan([f"{KEEPER}/1"]), bench.plan(Filter())

    bench.run(first.id)
    report = bench.run(second.id)

    assert (report.acked, report.failed, report.left, report.left_out) == (1, 0, 0, 1)
    assert scene.targets.letters == [f"{KEEPER}/1", f"{KEEPER}/2"]
    reason = "it was replayed after the plan was made"
    assert bench.exclusions(second.id) == [Excluded(f"{KEEPER}/1", reason)]
    plan = bench.plan_of(second.id)
    assert (plan.total, plan.left, plan.excluded, plan.reasons) == (1, 0, 1, {reason: 1})


def test_a_letter_that_another_plan_has_sent_holds_back_no_later_one_of_its_key(
    scene: Scene,
) -> None:
    scene.publish(letter(1, key="a"), letter(2, key="a"))
    bench = scene.bench()
    bench.mirror()
    first, second = bench.plan([f"{KEEPER}/1"]), bench.plan(Filter())
    bench.run(first.id)

    assert bench.run(second.id).left == 0

    assert scene.targets.letters == [f"{KEEPER}/1", f"{KEEPER}/2"]


def test_a_letter_that_an_earlier_plan_may_have_sent_is_left_to_that_plan(scene: Scene) -> None:
    """Another replay id would make another replay of it."""
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    first, second = bench.plan(Filter()), bench.plan(Filter())
    scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")
    bench.run(first.id)
    scene.targets.refuses = lambda replay: None

    report = bench.run(second.id)
    assert (report.acked, report.failed) == (0, 1)
    assert bench.rows(second.id)[0].reason == (
        f"the plan {first.id} sends it: run that one to its end"
    )
    assert bench.run(first.id).acked == 1

    assert {each.replay_id for each in scene.targets.arrived} == {f"{first.id}-1"}


def test_a_letter_that_may_have_been_sent_is_not_edited_and_keeps_its_replays_id(
    scene: Scene,
) -> None:
    """Idempotent tasks drop a second replay by its id: no other may come of this letter."""
    scene.publish(*map(dead_message, range(2)))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    scene.targets.refuses = lambda replay: Unknown("silence")
    bench.run(plan.id)

    with pytest.raises(ConfigurationError, match=f"run the plan {plan.id} to its end"):
        bench.edit(f"{KEEPER}/0", data=b"{}")
    scene.targets.refuses = refusing(f"{KEEPER}/0")
    bench.run(plan.id)

    assert bench.plan(Filter()).excluded == 1
    scene.targets.refuses = lambda replay: None
    assert bench.run(plan.id).left == 0
    assert {each.replay_id for each in scene.targets.arrived} == {f"{plan.id}-1", f"{plan.id}-2"}


def _uncertain(scene: Scene, *numbers: int) -> tuple[Workbench, Plan]:
    """Return a plan of letters that may have been sent."""
    scene.publish(*(letter(number, key="a") for number in numbers))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    scene.targets.refuses = lambda replay: Unknown("silence")
    bench.run(plan.id)
    scene.targets.refuses = lambda replay: None
    return bench, plan


@pytest.mark.parametrize("is_seen_by", ["mirror", "run"])
def test_a_plan_ends_when_a_letter_that_may_have_been_sent_is_gone(
    scene: Scene, is_seen_by: str
) -> None:
    """A colleague acknowledged it, or it expired: no run can make sure any more."""
    bench, plan = _uncertain(scene, 1)
    scene.pubsub.kept[KEEPER].clear()

    if is_seen_by == "mirror":
        bench.mirror()
    report = bench.run(plan.id)

    assert (report.left, report.given_up, report.uncertain, report.acked) == (0, 1, 1, 0)
    ended = bench.plan_of(plan.id)
    assert (ended.left, ended.uncertain, ended.total) == (0, 1, 1)
    (row,) = bench.rows(plan.id)
    assert (row.state, row.reason.partition(";")[0]) == (
        RowState.UNCERTAIN,
        "it may have been sent",
    )
    whats = [entry.what for entry in bench.journal(letter=f"{KEEPER}/1")]
    assert whats.count("uncertain") == 1


def test_a_mirror_alone_ends_such_a_plan(scene: Scene) -> None:
    bench, plan = _uncertain(scene, 1)
    assert bench.plan_of(plan.id).left == 1
    scene.pubsub.kept[KEEPER].clear()

    bench.mirror()

    assert (bench.plan_of(plan.id).left, bench.plan_of(plan.id).uncertain) == (0, 1)
    assert bench.plan(Filter(states=frozenset())).reasons == {
        "it isn't there any more: it was acknowledged, or it expired": 1
    }


@pytest.mark.parametrize("is_seen_by", ["mirror", "run"])
def test_a_letter_that_comes_back_keeps_the_id_of_its_replay(scene: Scene, is_seen_by: str) -> None:
    """A colleague held it only."""
    bench, plan = _uncertain(scene, 1)
    kept = scene.pubsub.kept[KEEPER].pop()
    bench.mirror() if is_seen_by == "mirror" else bench.run(plan.id)
    assert bench.plan_of(plan.id).uncertain == 1
    scene.pubsub.kept[KEEPER].append(kept)
    bench.mirror()

    assert bench.plan(Filter()).reasons == {
        f"the plan {plan.id} sends it: run that one to its end": 1
    }
    assert bench.run(plan.id).acked == 1
    assert [each.replay_id for each in scene.targets.arrived] == 2 * [f"{plan.id}-1"]


def test_later_letters_of_a_key_do_not_wait_for_one_that_is_gone(scene: Scene) -> None:
    bench, plan = _uncertain(scene, 1, 2)
    scene.pubsub.kept[KEEPER] = [
        kept for kept in scene.pubsub.kept[KEEPER] if kept.message.message_id == "2"
    ]

    report = bench.run(plan.id)

    assert (report.acked, report.given_up, report.left) == (1, 1, 0)


def test_a_job_that_may_have_run_again_and_is_deleted_ends_its_plan(scene: Scene) -> None:
    bench, plan = _uncertain(scene, 1)
    scene.targets.refuses = lambda replay: Refused("the job is gone", is_final=True)

    report = bench.run(plan.id)

    assert (report.left, report.given_up, report.failed) == (0, 1, 0)
    assert bench.rows(plan.id)[0].reason == "it may have been sent; the job is gone"


def test_another_letter_by_the_id_of_one_that_may_have_been_sent_can_be_sent(scene: Scene) -> None:
    """A local cloud without its state counts from the beginning."""
    bench, plan = _uncertain(scene, 1)
    scene.pubsub.kept[KEEPER].clear()
    scene.publish(dead_message(1).model_copy(update={"data": b"another"}))
    bench.mirror()

    assert bench.plan_of(plan.id).uncertain == 1
    assert bench.run(bench.plan(Filter()).id).acked == 1
    assert bench.run(plan.id).given_up == 1


def test_another_message_by_the_id_of_a_letter_that_was_sent_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was killed before it acknowledged; the local cloud counts from 1 again since."""
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_acknowledge", _killed)
        with pytest.raises(Killed):
            bench.run(plan.id)
    scene.pubsub.kept[KEEPER].clear()
    scene.publish(dead_message(1).model_copy(update={"data": b"another"}))

    assert bench.run(plan.id).acked == 1

    assert scene.pubsub.ids(KEEPER) == ["1"]
    assert bench.mirror().new == 1
    assert bench.letter(f"{KEEPER}/1").data == b"another"


def _killed(*arguments: object) -> None:
    raise Killed


def test_a_plan_that_is_not_there_is_named(scene: Scene) -> None:
    bench = scene.bench()
    for call in (bench.run, bench.cancel, bench.plan_of):
        with pytest.raises(NoPlanError, match=r"no plan 'p17'.*dlq plans"):
            call("p17")
    bench.targets = None
    with pytest.raises(ConfigurationError, match="no Pub/Sub"):
        bench.plan(Filter())


def test_pubsub_that_fails_ends_the_run_with_its_words(scene: Scene) -> None:
    scene.publish(dead_message(1))
    bench = scene.bench()
    bench.mirror()
    plan = bench.plan(Filter())
    scene.pubsub.kept.clear()

    report = bench.run(plan.id)

    assert report.problem == f"{KEEPER}: NOT_FOUND: nothing."
    assert report.left == 1
