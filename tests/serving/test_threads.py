"""The pool does all work, never more at once than its limit, and replaces abandoned threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from ucam_faas.serving.threads import ThreadPool, Work

from .harness import WAIT_SECONDS, Held


class Latch:
    """Waits for a number of arrivals."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._left = count
        self._done = threading.Event()

    def count_down(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._done.set()

    def wait(self) -> bool:
        return self._done.wait(WAIT_SECONDS)


def pool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "ucam-faas-task"}


@pytest.fixture
def new_threads() -> Callable[[], set[threading.Thread]]:
    before = pool_threads()
    return lambda: pool_threads() - before


def eventually(condition: Callable[[], bool]) -> bool:
    """Return True once the condition holds, or False after WAIT_SECONDS; spin meanwhile."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0)
    return condition()


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_all_work_is_done_once_with_at_most_the_limit_at_a_time(limit: int) -> None:
    pool, latch, lock = ThreadPool(limit), Latch(500), threading.Lock()
    done: list[int] = []
    inside = most = 0

    def work(number: int) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            done.append(number)
        time.sleep(0)
        with lock:
            inside -= 1
        latch.count_down()

    for number in range(500):
        pool.submit(lambda number=number: work(number))  # type: ignore[misc]

    assert latch.wait()
    assert sorted(done) == list(range(500))
    assert most <= limit


def test_work_that_many_threads_submit_is_all_done() -> None:
    pool, latch = ThreadPool(3), Latch(800)

    def submit() -> None:
        for _ in range(100):
            pool.submit(latch.count_down)

    submitters = [threading.Thread(target=submit) for _ in range(8)]
    for thread in submitters:
        thread.start()
    for thread in submitters:
        thread.join()

    assert latch.wait()
    assert pool.size == 3


def test_threads_start_when_they_are_needed_and_no_more_than_the_limit(
    new_threads: Callable[[], set[threading.Thread]],
) -> None:
    pool, holds = ThreadPool(2), [Held() for _ in range(4)]

    counts = [len(new_threads())]
    for held in holds[:2]:
        pool.submit(held)
        assert held.begun.wait(WAIT_SECONDS)
        counts.append(len(new_threads()))
    for held in holds[2:]:
        pool.submit(held)
        counts.append(len(new_threads()))
    for held in holds:
        held.release.set()

    assert counts == [0, 1, 2, 2, 2]
    assert all(held.ended.wait(WAIT_SECONDS) for held in holds)


def test_an_idle_thread_is_used_again(new_threads: Callable[[], set[threading.Thread]]) -> None:
    pool = ThreadPool(5)

    for _ in range(20):
        latch = Latch(1)
        pool.submit(latch.count_down)
        assert latch.wait()
        assert eventually(lambda: pool._free == 1)

    assert len(new_threads()) == 1


def test_an_abandoned_thread_is_replaced_and_ends_with_its_work(
    new_threads: Callable[[], set[threading.Thread]],
) -> None:
    pool, stuck, after = ThreadPool(1), Held(), Held()
    work = pool.submit(stuck)
    assert stuck.begun.wait(WAIT_SECONDS)
    (first,) = new_threads()

    stack = work.abandon()
    pool.submit(after)
    replaced = after.begun.wait(WAIT_SECONDS)
    sizes = (pool.size, pool.abandoned)
    stuck.release.set()
    first.join(WAIT_SECONDS)
    after.release.set()

    assert stack is not None
    assert "harness" in stack
    assert 'threading.py", line' not in stack.partition("harness")[0]
    assert "ucam_faas/serving/threads.py" not in stack
    assert replaced
    assert sizes == (2, 1)
    assert not first.is_alive()
    assert (pool.size, pool.abandoned) == (1, 0)


def test_work_that_waited_behind_an_abandoned_thread_is_done() -> None:
    pool, stuck, after = ThreadPool(1), Held(), Held()
    work = pool.submit(stuck)
    assert stuck.begun.wait(WAIT_SECONDS)
    pool.submit(after)

    work.abandon()
    begun = after.begun.wait(WAIT_SECONDS)
    stuck.release.set()
    after.release.set()

    assert begun


def test_work_that_is_abandoned_before_it_begins_is_never_begun() -> None:
    pool, stuck, never, after = ThreadPool(1), Held(), Held(), Held()
    pool.submit(stuck)
    assert stuck.begun.wait(WAIT_SECONDS)
    work = pool.submit(never)
    pool.submit(after)

    where = work.abandon()
    stuck.release.set()
    after.release.set()

    assert where is None
    assert after.ended.wait(WAIT_SECONDS)
    assert never.seen == []
    assert (pool.size, pool.abandoned) == (1, 0)


def test_work_that_has_ended_cannot_be_abandoned() -> None:
    pool, latch = ThreadPool(1), Latch(1)
    work = pool.submit(latch.count_down)
    assert latch.wait()
    assert eventually(lambda: pool._free == 1)

    where = work.abandon()

    assert where is None
    assert (pool.size, pool.abandoned) == (1, 0)


def test_work_is_abandoned_once() -> None:
    pool, stuck = ThreadPool(1), Held()
    work = pool.submit(stuck)
    assert stuck.begun.wait(WAIT_SECONDS)

    stacks = [work.abandon(), work.abandon()]

    assert stacks[0] is not None
    assert stacks[1] is None
    assert pool.abandoned == 1
    stuck.release.set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_sizes_return_to_normal_after_any_mix_of_work_and_abandonment(seed: int) -> None:
    chance, pool = random.Random(seed), ThreadPool(3)
    begun: list[int] = []
    running: list[tuple[Work, Held]] = []
    for _ in range(300):
        if running and chance.random() < 0.6:
            work, held = running.pop(chance.randrange(len(running)))
            if chance.random() < 0.5:
                work.abandon()
            held.release.set()
            begun.append(len(held.seen))
        elif len(running) < 3:
            held = Held()
            running.append((pool.submit(held), held))

    for _, held in running:
        held.release.set()
    holds = [Held() for _ in range(3)]
    for held in holds:
        pool.submit(held)
    together = all(held.begun.wait(WAIT_SECONDS) for held in holds)
    for held in holds:
        held.release.set()

    assert together
    assert eventually(lambda: (pool.size, pool.abandoned) == (3, 0))
    assert eventually(lambda: pool._free == pool._threads <= 3)


class Turnstile:
    """A lock that holds one thread up before it takes it for the n-th time."""

    def __init__(self, lock: threading.Lock, at: int) -> None:
        self._lock, self._at = lock, at
        self._times: dict[threading.Thread, int] = {}
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __enter__(self) -> None:
        thread = threading.current_thread()
        self._times[thread] = self._times.get(thread, 0) + 1
        if thread.name == "ucam-faas-task" and self._times[thread] == self._at:
            self.reached.set()
            self.go_on.wait(WAIT_SECONDS)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("at", [2, 3])
def test_work_that_comes_just_when_an_abandoned_thread_ends_is_done(at: int) -> None:
    pool, stuck, after = ThreadPool(1), Held(), Held()
    turnstile = Turnstile(pool.lock, at)
    pool.lock = turnstile  # type: ignore[assignment]
    work = pool.submit(stuck)
    assert stuck.begun.wait(WAIT_SECONDS)
    work.abandon()
    stuck.release.set()
    turnstile.reached.wait(0.1)  # a pool may also take the lock less often

    pool.submit(after)
    turnstile.go_on.set()
    begun = after.begun.wait(WAIT_SECONDS)
    after.release.set()

    assert begun
