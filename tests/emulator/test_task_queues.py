"""When tasks of Cloud Tasks are dispatched: the pure queues, without waiting."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ucam_faas.emulator.cloud_tasks.backlog import SPARE_ENTRIES, Backlog
from ucam_faas.emulator.cloud_tasks.engine import NAME_TAKEN_SECONDS, TaskQueues
from ucam_faas.emulator.cloud_tasks.tasks import (
    RETENTION_SECONDS,
    Attempt,
    Dispatch,
    Queue,
    QueueState,
    RetryConfig,
    Task,
)
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.targets.target import HttpTarget, OauthToken

START = 1_767_225_600.0
"""Midnight, 1 January 2026, UTC."""
HOUR, DAY = 3600.0, 86400.0
QUEUE = "projects/p/locations/l/queues/q"
TARGET = HttpTarget(uri="http://127.0.0.1/", body=b"x")


def task(name: str = "t", *, at: float = START, **fields: Any) -> Task:
    fields = {"create_time": START, "queue": QUEUE} | fields
    name = f"{fields.pop('queue')}/tasks/{name}"
    return Task(name=name, target=TARGET, schedule_time=at, **fields)


class Saved(dict[str, dict[str, Any]]):
    """All that was saved, by kind and name, as JSON keeps it."""

    def __init__(self) -> None:
        super().__init__(queues={}, tasks={}, names={})

    def __call__(self, kind: str, name: str, value: Mapping[str, Any] | None) -> None:
        if value is None:
            del self[kind][name]
        else:
            self[kind][name] = json.loads(json.dumps(value))

    def restored(self, now: float) -> TaskQueues:
        """Return the queues of a process that starts with this."""
        queues = TaskQueues(self)
        queues.restore(
            [Queue.from_dict(value) for value in self["queues"].values()],
            [Task.from_dict(value) for value in self["tasks"].values()],
            {name: value["until"] for name, value in self["names"].items()},
            now,
        )
        return queues


@pytest.fixture
def saved() -> Saved:
    return Saved()


@pytest.fixture
def queues(saved: Saved) -> TaskQueues:
    queues = TaskQueues(saved)
    queues.create_queue(Queue(name=QUEUE), START)
    return queues


def only(dispatches: Any) -> Dispatch:
    (dispatch,) = dispatches
    assert isinstance(dispatch, Dispatch)
    return dispatch


def fail(queues: TaskQueues, dispatch: Dispatch, now: float, status: int = 500) -> float | None:
    return queues.finished(dispatch, now, status=status, code=13, text="no")


def succeed(queues: TaskQueues, dispatch: Dispatch, now: float) -> float | None:
    return queues.finished(dispatch, now, status=204, code=0, text="")


def attempts(queues: TaskQueues, *, until: float = START + 100 * DAY) -> list[float]:
    """Fail each attempt at once, and return when they were made."""
    times = []
    while (at := queues.next_due()) is not None and at <= until:
        for dispatch in queues.due(at):
            times.append(round(at - START, 6))
            fail(queues, dispatch, at)
    return times


def ids(dispatches: Any) -> list[str]:
    return [dispatch.task.name.rpartition("/")[2] for dispatch in dispatches]


# -- on time --------------------------------------------------------------------------------------


def test_a_task_is_dispatched_at_its_time_and_not_before(queues: TaskQueues) -> None:
    queues.create(task(at=START + HOUR), START)

    assert queues.next_due() == START + HOUR
    assert queues.due(START + HOUR - 0.001) == []
    assert only(queues.due(START + HOUR)).task.dispatch_count == 1
    assert queues.due(START + HOUR) == []


def test_a_task_that_succeeds_is_gone(queues: TaskQueues, saved: Saved) -> None:
    queues.create(task(), START)

    assert succeed(queues, only(queues.due(START)), START) is None

    assert queues.next_due() is None
    with pytest.raises(RpcError, match="not found"):
        queues.get(task().name)
    assert saved["tasks"] == {}


def test_tasks_go_in_the_order_of_their_times_then_of_their_creation(queues: TaskQueues) -> None:
    for name, at in [("c", 2), ("a", 1), ("d", 2), ("b", 1)]:
        queues.create(task(name, at=START + at), START)

    assert ids(queues.due(START + 2)) == ["a", "b", "c", "d"]


def test_the_next_one_is_the_next_of_all_queues(queues: TaskQueues) -> None:
    queues.create_queue(Queue(name=QUEUE + "2"), START)
    queues.create(task(at=START + 2), START)
    queues.create(task(at=START + 1, queue=QUEUE + "2"), START)

    assert queues.next_due() == START + 1


# -- retries --------------------------------------------------------------------------------------


def test_retries_come_as_googles_example_says(queues: TaskQueues) -> None:
    retry = RetryConfig(min_backoff=10, max_backoff=300, max_doublings=3, max_attempts=9)
    queues.update_queue(Queue(name=QUEUE, retry=retry), START)
    queues.create(task(), START)

    times = attempts(queues)

    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits == [10, 20, 40, 80, 160, 240, 300, 300]


def test_after_its_last_attempt_a_task_is_gone(queues: TaskQueues, saved: Saved) -> None:
    queues.update_queue(Queue(name=QUEUE, retry=RetryConfig(max_attempts=3)), START)
    queues.create(task(), START)

    assert len(attempts(queues)) == 3
    assert saved["tasks"] == {}


@pytest.mark.parametrize(
    ("max_attempts", "seconds", "made"),
    [(5, 0, 5), (5, 2.5, 5), (2, 4.5, 5), (-1, 4.5, 5), (1, 0, 1)],
)
def test_retries_end_when_both_limits_are_reached(
    queues: TaskQueues, max_attempts: int, seconds: float, made: int
) -> None:
    retry = RetryConfig(
        min_backoff=1, max_backoff=1, max_attempts=max_attempts, max_retry_duration=seconds
    )
    queues.update_queue(Queue(name=QUEUE, retry=retry), START)
    queues.create(task(), START)

    assert len(attempts(queues)) == made


def test_without_limits_retries_end_with_the_tasks_retention(queues: TaskQueues) -> None:
    retry = RetryConfig(min_backoff=HOUR, max_backoff=HOUR, max_attempts=-1)
    queues.update_queue(Queue(name=QUEUE, retry=retry), START)
    queues.create(task(), START)

    assert len(attempts(queues)) == 31 * 24


def test_a_tasks_own_retry_config_replaces_the_queues(queues: TaskQueues) -> None:
    queues.create(task(retry=RetryConfig(max_attempts=2, min_backoff=7)), START)

    assert attempts(queues) == [0, 7]


def test_attempts_and_answers_are_counted(queues: TaskQueues) -> None:
    """As the headers have it: an answer of 5xx is not one of the handler."""
    queues.create(task(), START)
    now, counted = START, []
    for status in (404, 500, None):
        dispatch = only(queues.due(now))
        now = queues.finished(dispatch, now + 1, status=status, code=2, text="no") or 0.0
        kept = queues.get(task().name)
        counted.append(
            (kept.dispatch_count, kept.response_count, kept.execution_count, kept.previous_status)
        )

    assert counted == [(1, 1, 1, 404), (2, 2, 1, 500), (3, 2, 1, 500)]
    assert kept.first_dispatch_time == START
    assert kept.last_attempt is not None
    assert (kept.last_attempt.code, kept.last_attempt.text) == (2, "no")


# -- forced ---------------------------------------------------------------------------------------


def test_a_forced_run_ignores_time_state_and_limits(queues: TaskQueues) -> None:
    queues.update_queue(
        Queue(name=QUEUE, max_concurrent_dispatches=1, max_dispatches_per_second=1), START
    )
    queues.create(task("first"), START)
    queues.create(task(at=START + DAY), START)
    queues.due(START)
    queues.pause(QUEUE)

    dispatch = queues.run(task().name, START)

    assert (dispatch.task.dispatch_count, dispatch.forced) == (1, True)
    assert succeed(queues, dispatch, START) is None
    assert list(queues.tasks(QUEUE)) == [task("first").name]


def test_a_forced_run_that_fails_is_retried_from_the_time_of_the_call(queues: TaskQueues) -> None:
    queues.create(task(at=START + DAY, retry=RetryConfig(min_backoff=100)), START)

    dispatch = queues.run(task().name, START)

    assert fail(queues, dispatch, START + 30) == START + 100
    assert queues.next_due() == START + 100


def test_a_running_task_can_be_forced_and_ends_with_the_first_success(queues: TaskQueues) -> None:
    queues.create(task(), START)
    scheduled, forced = only(queues.due(START)), queues.run(task().name, START)

    assert succeed(queues, forced, START + 1) is None
    assert fail(queues, scheduled, START + 2) is None
    assert queues.next_due() is None


# -- limits of queues -----------------------------------------------------------------------------


def test_a_queue_dispatches_a_burst_and_then_by_its_rate(queues: TaskQueues) -> None:
    queues.update_queue(Queue(name=QUEUE, max_dispatches_per_second=2), START)
    for number in range(8):
        queues.create(task(str(number)), START)

    times = attempts_that_succeed(queues)

    assert times == pytest.approx([0, 0, 0.5, 1, 1.5, 2, 2.5, 3], abs=1e-3)


def test_a_rate_below_one_dispatches_one_and_then_waits(queues: TaskQueues) -> None:
    queues.update_queue(Queue(name=QUEUE, max_dispatches_per_second=0.1), START)
    for number in range(3):
        queues.create(task(str(number)), START)

    times = attempts_that_succeed(queues)

    assert times == pytest.approx([0, 10, 20], abs=1e-3)


def attempts_that_succeed(queues: TaskQueues) -> list[float]:
    times = []
    while (at := queues.next_due()) is not None:
        for dispatch in queues.due(at):
            times.append(at - START)
            succeed(queues, dispatch, at)
    return times


@settings(max_examples=60)
@given(
    rate=st.sampled_from([0.5, 1.0, 3.0, 7.5, 500.0]),
    arrivals=st.lists(st.floats(0, 20), min_size=1, max_size=60),
)
def test_no_second_has_more_dispatches_than_burst_and_rate(
    rate: float, arrivals: list[float]
) -> None:
    queues = TaskQueues(Saved())
    queue = queues.create_queue(Queue(name=QUEUE, max_dispatches_per_second=rate), START)
    for number, after in enumerate(arrivals):
        queues.create(task(str(number), at=START + after), START)

    times = attempts_that_succeed(queues)

    assert len(times) == len(arrivals)
    for first in times:
        within = [at for at in times if first <= at < first + 1]
        assert len(within) <= queue.max_burst_size + rate + 1e-3
    late = [at - after for at, after in zip(times, sorted(arrivals), strict=True)]
    assert min(late) >= -1e-6, "a task was early"


def test_no_more_attempts_run_than_the_queue_allows(queues: TaskQueues) -> None:
    queues.update_queue(Queue(name=QUEUE, max_concurrent_dispatches=2), START)
    for number in range(3):
        queues.create(task(str(number)), START)

    running = queues.due(START)
    assert ids(running) == ["0", "1"]
    assert queues.next_due() is None
    succeed(queues, running[0], START + 5)

    assert queues.next_due() == START
    assert ids(queues.due(START + 5)) == ["2"]


def test_a_deleted_task_that_runs_makes_room_when_it_ends(queues: TaskQueues) -> None:
    queues.update_queue(Queue(name=QUEUE, max_concurrent_dispatches=1), START)
    for number in range(2):
        queues.create(task(str(number)), START)
    running = only(queues.due(START))
    queues.delete(running.task.name, START)

    assert queues.next_due() is None
    fail(queues, running, START)

    assert ids(queues.due(START)) == ["1"]


# -- queues ---------------------------------------------------------------------------------------


def test_a_paused_queue_takes_tasks_and_dispatches_none(queues: TaskQueues) -> None:
    assert queues.pause(QUEUE).state is QueueState.PAUSED
    queues.create(task(), START)

    assert queues.next_due() is None
    assert queues.due(START + DAY) == []
    assert queues.resume(QUEUE).state is QueueState.RUNNING
    assert len(queues.due(START + DAY)) == 1


def test_an_update_keeps_state_and_purge_time(queues: TaskQueues) -> None:
    queues.purge(QUEUE, START + 1)
    queues.pause(QUEUE)

    updated = queues.update_queue(Queue(name=QUEUE, max_dispatches_per_second=1), START)

    assert (updated.state, updated.purge_time) == (QueueState.PAUSED, START + 1)
    assert updated.max_dispatches_per_second == 1


def test_an_update_creates_a_queue_that_does_not_exist(queues: TaskQueues) -> None:
    queues.update_queue(Queue(name=QUEUE + "2"), START)

    assert [queue.name for queue in queues.queues()] == [QUEUE, QUEUE + "2"]


def test_a_purge_deletes_all_tasks_and_the_results_of_running_ones_are_ignored(
    queues: TaskQueues, saved: Saved
) -> None:
    for number in range(3):
        queues.create(task(str(number)), START)
    running = queues.due(START)

    queues.purge(QUEUE, START)
    for dispatch in running:
        fail(queues, dispatch, START)

    assert (queues.next_due(), saved["tasks"]) == (None, {})


def test_a_deleted_queue_takes_its_tasks_with_it(queues: TaskQueues, saved: Saved) -> None:
    queues.create(task(), START)
    dispatch = only(queues.due(START))

    queues.delete_queue(QUEUE)
    fail(queues, dispatch, START)

    assert saved == {"queues": {}, "tasks": {}, "names": {}}
    assert queues.next_due() is None
    with pytest.raises(RpcError, match="Queue does not exist"):
        queues.create(task(), START)


# -- names ----------------------------------------------------------------------------------------


def test_a_name_is_taken_while_its_task_lives_and_for_a_day_after(queues: TaskQueues) -> None:
    queues.create(task(), START)
    with pytest.raises(RpcError, match="already exists"):
        queues.create(task(), START)
    succeed(queues, only(queues.due(START)), START)

    with pytest.raises(RpcError, match="already exists"):
        queues.create(task(), START + NAME_TAKEN_SECONDS - 1)
    queues.create(task(), START + NAME_TAKEN_SECONDS)


def test_the_names_of_generated_ids_are_not_kept(queues: TaskQueues, saved: Saved) -> None:
    queues.create(task(named=False), START)
    queues.delete(task().name, START)

    assert saved["names"] == {}


def test_free_names_and_old_tasks_are_forgotten(queues: TaskQueues, saved: Saved) -> None:
    queues.pause(QUEUE)
    queues.create(task("deleted"), START)
    queues.delete(task("deleted").name, START)
    queues.create(task("old", named=False), START)

    queues.expire(START + RETENTION_SECONDS - 1)
    assert list(saved["tasks"]) == [task("old").name]
    queues.expire(START + RETENTION_SECONDS)

    assert (saved["tasks"], saved["names"]) == ({}, {})


# -- restarts, and the wall clock -----------------------------------------------------------------


def test_a_running_attempt_is_made_again_after_a_restart(queues: TaskQueues, saved: Saved) -> None:
    queues.create(task(), START)
    queues.due(START)

    again = only(saved.restored(START + 1).due(START + 1))

    assert again.task.dispatch_count == 2
    assert again.task.first_dispatch_time == START


def test_names_are_taken_after_a_restart_too(queues: TaskQueues, saved: Saved) -> None:
    queues.create(task(), START)
    queues.delete(task().name, START)

    with pytest.raises(RpcError, match="already exists"):
        saved.restored(START).create(task(), START + HOUR)


def test_retries_wait_no_longer_when_the_wall_clock_is_set_back(queues: TaskQueues) -> None:
    queues.create(task(retry=RetryConfig(min_backoff=60)), START)
    queues.create(task("new", at=START + DAY), START)
    fail(queues, only(queues.due(START)), START)

    queues.set_back(HOUR, START - HOUR)

    assert queues.next_due() == START - HOUR + 60
    assert queues.get(task("new").name).schedule_time == START + DAY, "the user said when"


def test_the_heap_does_not_grow_with_what_users_do() -> None:
    backlog = Backlog(Queue(name=QUEUE), START)

    for number in range(10 * SPARE_ENTRIES):
        backlog.add("t", START + number)

    assert len(backlog._heap) <= SPARE_ENTRIES + 3


# -- anything -------------------------------------------------------------------------------------

TEXTS = st.text(max_size=8)
TIMES = st.floats(0, 4e9)
RETRIES = st.builds(
    RetryConfig, min_backoff=TIMES, max_attempts=st.integers(-1, 9), max_retry_duration=TIMES
)
TASKS = st.builds(
    Task,
    name=TEXTS,
    target=st.builds(
        HttpTarget,
        uri=TEXTS,
        body=st.binary(max_size=8),
        oauth=st.none() | st.builds(OauthToken, service_account_email=TEXTS),
    ),
    create_time=TIMES,
    schedule_time=TIMES,
    retry=st.none() | RETRIES,
    last_attempt=st.none()
    | st.builds(Attempt, schedule_time=TIMES, dispatch_time=TIMES, response_time=st.none() | TIMES),
    previous_status=st.none() | st.integers(100, 599),
)


@given(TASKS)
@settings(max_examples=50)
def test_a_task_survives_json(original: Task) -> None:
    assert Task.from_dict(json.loads(json.dumps(original.to_dict()))) == original


@given(st.builds(Queue, name=TEXTS, retry=RETRIES, state=st.sampled_from(QueueState)))
@settings(max_examples=20)
def test_a_queue_survives_json(original: Queue) -> None:
    assert Queue.from_dict(json.loads(json.dumps(original.to_dict()))) == original


class AnyUse(RuleBasedStateMachine):
    """The invariants hold whatever users and drivers do, in any order."""

    names = Bundle("names")
    forced = Bundle("forced")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.saved = Saved()
        self.queues = TaskQueues(self.saved)
        retry = RetryConfig(max_attempts=3, min_backoff=5)
        queue = Queue(name=QUEUE, retry=retry, max_concurrent_dispatches=2)
        self.queues.create_queue(queue, START)
        self.running: dict[int, Dispatch] = {}
        self.numbers = itertools.count()

    @rule(target=names, after=st.sampled_from([0.0, 1.0, 60.0]))
    def create(self, after: float) -> str:
        made = task(str(next(self.numbers)), at=self.now + after, create_time=self.now)
        return self.queues.create(made, self.now).name

    @rule(name=consumes(names))
    def delete(self, name: str) -> None:
        if name in self.queues.tasks(QUEUE):
            self.queues.delete(name, self.now)

    @rule(target=forced, name=names)
    def force(self, name: str) -> Dispatch | None:
        return self.queues.run(name, self.now) if name in self.queues.tasks(QUEUE) else None

    @rule(dispatch=consumes(forced), ok=st.booleans())
    def end_forced(self, dispatch: Dispatch | None, ok: bool) -> None:
        if dispatch is not None:
            self.end(dispatch, ok)

    @rule()
    def pause_or_resume(self) -> None:
        running = self.queues.get_queue(QUEUE).state is QueueState.RUNNING
        (self.queues.pause if running else self.queues.resume)(QUEUE)

    @rule()
    def purge(self) -> None:
        self.queues.purge(QUEUE, self.now)

    @rule(seconds=st.sampled_from([0.0, 0.3, 5.0, 60.0]))
    def work(self, seconds: float) -> None:
        self.now += seconds
        for dispatch in self.queues.due(self.now):
            assert dispatch.task.schedule_time <= self.now, "too early"
            self.running[dispatch.id] = dispatch
        assert len(self.running) <= 2, "too many at once"
        due = self.queues.next_due()
        assert due is None or due > self.now

    @rule(ok=st.booleans())
    def end_all(self, ok: bool) -> None:
        for dispatch in list(self.running.values()):
            self.end(dispatch, ok)

    @rule()
    def restart(self) -> None:
        self.queues = self.saved.restored(self.now)
        self.running.clear()

    def end(self, dispatch: Dispatch, ok: bool) -> None:
        self.running.pop(dispatch.id, None)
        (succeed if ok else fail)(self.queues, dispatch, self.now)
        if ok:
            assert dispatch.task.name not in self.queues.tasks(QUEUE)

    @invariant()
    def what_is_kept_is_what_was_saved(self) -> None:
        kept = [each.to_dict() for each in self.queues.tasks(QUEUE).values()]
        assert sorted(kept, key=str) == sorted(self.saved["tasks"].values(), key=str)


TestAnyUse = pytest.mark.slow(AnyUse.TestCase)
