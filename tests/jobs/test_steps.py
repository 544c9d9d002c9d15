"""`job.step`, `job.cursor` and `job.sleep`: a job goes on where an earlier attempt was."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import FaultyStore, add, causes, row_of, wake
from tests.serving.harness import make_app, on_a_loop
from ucam_faas.exceptions import JobLostError, JobStoreError, ResultNotStoredError
from ucam_faas.job_runs import ends
from ucam_faas.job_runs.current_job import CurrentJob
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.transactions.callers import drive
from ucam_faas.testing import JobsFactory, ManualClock

HOUR = timedelta(hours=1)
Act = Callable[[Any], Awaitable[Any]]
MakeTask = Callable[[Act], Any]

pytestmark = pytest.mark.usefixtures("own_contexts")


class Receipt(BaseModel):
    """The result of a step."""

    id: int
    day: date


class Twin:
    """The methods of the current job, as coroutines: those of sync code, or their async twins."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            job = ucam_faas.current_job()
            if self._is_async:
                return await getattr(job, f"{method}_async")(*args, **kwargs)
            value = getattr(job, method)
            return value if method == "cursor" else value(*args, **kwargs)

        return call


@pytest.fixture(params=["sync", "async"])
def make_task(request: pytest.FixtureRequest) -> MakeTask:
    """Return a maker of tasks, sync or async, each of a coroutine function."""

    def make(act: Act) -> Any:
        if request.param == "async":

            @ucam_faas.message_handler(message_type=None)
            async def task(data: bytes) -> Any:
                return await act(Twin(is_async=True))

            return task

        @ucam_faas.message_handler(message_type=None, name="task")
        def sync_task(data: bytes) -> Any:
            return drive(act(Twin(is_async=False)))  # type: ignore[arg-type]  # it is a coroutine

        return sync_task

    return make


class Flaky:
    """A step's function that fails the first times."""

    def __init__(self, *, failures: int = 1) -> None:
        self.calls = 0
        self.failures = failures

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise RuntimeError("flaky")
        return self.calls


def test_a_later_attempt_gets_the_result_of_a_step_without_running_it(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    calls: list[int] = []
    ship = Flaky()

    def charge(id: int, *, name: date) -> Receipt:
        calls.append(id)
        return Receipt(id=id, day=name)

    async def act(job: Any) -> Any:
        receipt = await job.step("charge", charge, 7, name=date(2026, 1, 2))
        assert receipt == Receipt(id=7, day=date(2026, 1, 2))
        return await job.step("ship", ship)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert (job.result(), calls, ship.calls) == (2, [7], 2)


@pytest.mark.parametrize(
    ("value", "stored"),
    [((1, 2), [1, 2]), ({1: "a"}, {"1": "a"}), (None, None), ("é\0", "é\0")],
    ids=repr,
)
def test_a_result_is_as_json_has_it_at_each_attempt(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, value: Any, stored: Any
) -> None:
    seen: list[Any] = []
    end = Flaky()

    async def act(job: Any) -> None:
        seen.append(await job.step("a", lambda: value))
        end()

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    task.send(b"go")
    jobs.advance(HOUR)

    assert seen == [stored, stored]


def test_an_annotation_reads_dates_models_and_partials(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    day = date(2026, 1, 2)

    def days(first: date) -> list[date]:
        return [first]

    async def act(job: Any) -> None:
        assert await job.step("partial", partial(days, day)) == [day]
        assert await job.step("class", Receipt, id=1, day=day) == Receipt(id=1, day=day)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.status == State.SUCCESS


def unannotated():  # type: ignore[no-untyped-def]  # that is the mistake
    return Receipt(id=1, day=date(2026, 1, 2))


def wrong() -> int:
    return "one"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (("", int), ValueError, "expected 1 to 1024 bytes"),
        (("a\n", int), ValueError, "expected 1 to 1024 bytes"),
        ((7, int), TypeError, "expected a text"),
        (("a", unannotated), TypeError, "returned a Receipt.*`-> Receipt`"),
        (("a", object), TypeError, "type object can't be stored"),
        (("a", wrong), TypeError, r"'a' doesn't fit .* \(int_parsing\)"),
    ],
)
def test_a_step_that_could_not_be_read_back_is_refused(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, args: Any, error: type, text: str
) -> None:
    async def act(job: Any) -> str:
        with pytest.raises(error, match=text):
            await job.step(*args)
        return "refused"

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.result() == "refused"
    assert jobs.store.steps(Key("default", "task", job.id)) == []


def test_two_steps_of_one_name_are_an_error(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    async def act(job: Any) -> None:
        await job.step("page", int)
        with pytest.raises(ValueError, match=r"two steps named 'page'.*f'page \{item\.id\}'"):
            await job.step("page", int)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.status == State.SUCCESS


def test_a_step_that_failed_may_run_again_in_the_same_attempt(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    charge = Flaky()

    async def act(job: Any) -> Any:
        with pytest.raises(RuntimeError, match="flaky"):
            await job.step("charge", charge)
        return await job.step("charge", charge)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.result() == 2


def test_steps_of_an_earlier_program_do_no_harm(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    end = Flaky()

    async def act(job: Any) -> Any:
        if not end.calls:
            await job.step("of an earlier version", int)
        end()
        return await job.step("new", lambda: "new")

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert job.result() == "new"


def test_a_job_that_is_retried_after_its_failure_goes_on(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    calls: list[int] = []
    end = Flaky()

    async def act(job: Any) -> Any:
        await job.step("a", lambda: calls.append(1))
        return end()

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go", retry=ucam_faas.RetryPolicy(max_attempts=1))
    jobs.run_all()
    assert job.status == State.FAILURE
    job.retry()
    jobs.run_all()

    assert (job.result(), calls) == (2, [1])


def test_an_async_function_needs_step_async_which_takes_both(
    ucam_faas_jobs: JobsFactory,
) -> None:
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @ucam_faas.message_handler(message_type=None)
    def sync_task(data: bytes) -> None:
        ucam_faas.current_job().step("a", fetch, 1)

    @ucam_faas.message_handler(message_type=None)
    async def async_task(data: bytes) -> list[int]:
        job = ucam_faas.current_job()
        steps = [job.step_async(f"fetch {number}", fetch, number) for number in range(5)]
        numbers: list[int] = await asyncio.gather(*steps)
        return [*numbers, await job.step_async("lambda", lambda: fetch(7))]

    jobs = ucam_faas_jobs(sync_task, async_task)
    refused = sync_task.send(b"go", retry=ucam_faas.RetryPolicy(max_attempts=1))
    job = async_task.send(b"go")
    jobs.run_all()

    with pytest.raises(ucam_faas.JobFailed, match=r"await job\.step_async"):
        refused.result()
    assert job.result() == [0, 1, 2, 3, 4, 7]


def test_a_cursor_continues_a_loop(make_task: MakeTask, ucam_faas_jobs: JobsFactory) -> None:
    done: list[int] = []

    async def act(job: Any) -> None:
        begin = await job.cursor() or 0
        for number in range(begin, 5):
            done.append(number)
            await job.save_cursor(number + 1)
            assert await job.cursor() == number + 1
            if len(done) in (2, 4):
                raise RuntimeError

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert (job.status, done) == (State.SUCCESS, [0, 1, 2, 3, 4])


def test_a_job_that_sleeps_expires_when_its_ttl_ends(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    async def act(job: Any) -> None:
        await job.sleep(timedelta(days=50))

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go", ttl=HOUR)
    jobs.run_all()
    jobs.advance(HOUR / 2)
    before = job.status
    jobs.advance(HOUR)

    assert (before, job.status) == (State.PENDING, State.EXPIRED)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ucam_faas.Pause("awaiting approval"), State.PAUSED),
        (ucam_faas.Retry(after=timedelta(days=50)), State.PENDING),
    ],
    ids=["paused", "to be tried again"],
)
def test_a_job_that_waits_after_a_run_expires_when_its_ttl_ends(
    error: Exception, state: State, make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    async def act(job: Any) -> None:
        raise error

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go", ttl=HOUR)
    jobs.run_all()
    jobs.advance(HOUR / 2)
    before = job.status
    jobs.advance(HOUR)

    assert (before, job.status) == (state, State.EXPIRED)
    assert job.resume() == State.EXPIRED


@pytest.mark.parametrize(
    "value", [{1, 2}, date(2026, 11, 28), Receipt(id=1, day=date.max)], ids=str
)
def test_a_cursor_that_would_come_back_as_another_type_is_refused(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, value: Any
) -> None:
    async def act(job: Any) -> None:
        with pytest.raises(TypeError, match="would come back as another type"):
            await job.save_cursor(value)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.status is State.SUCCESS


def test_a_sleep_gives_the_instance_back_and_spends_no_attempt(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    seen: list[Any] = []
    clock: list[ManualClock] = []

    async def act(job: Any) -> int:
        seen.append(("begins", clock[0].now()))
        try:
            await job.sleep(HOUR)
            await job.sleep(HOUR, name="again")
        except Exception:  # the signal isn't one
            seen.append("caught")
        seen.append(("ends", clock[0].now()))
        return ucam_faas.current_job().attempt

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    clock.append(jobs.clock)
    sent = jobs.clock.now()
    job = task.send(b"go", retry=ucam_faas.RetryPolicy(max_attempts=1))
    jobs.run_all()
    jobs.advance(HOUR * 0.9)
    assert job.status == State.PENDING
    assert len(seen) == 1
    jobs.advance(HOUR * 0.2)
    assert len(seen) == 2
    jobs.advance(2 * HOUR)

    assert job.result() == 1
    assert [each[0] for each in seen] == ["begins", "begins", "begins", "ends"]
    assert [(time - sent) // HOUR for _, time in seen] == [0, 1, 2, 2]
    assert [entry.cause for entry in job.history] == [
        *("sent", "claimed", "sleeping", "claimed", "sleeping", "claimed", "finished")
    ]
    assert job.history[2].message == f"until {sent + HOUR}"


def test_a_job_that_sleeps_often_is_not_interrupted_too_often(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "MAX_INTERRUPTIONS", 2)

    async def act(job: Any) -> str:
        for _ in range(4):
            await job.sleep(timedelta(minutes=10))
        return "awake"

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert job.result() == "awake"


@on_a_loop
async def test_a_sleep_is_answered_with_an_acknowledgement_and_a_line(
    make_task: MakeTask,
    store: FaultyStore,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act(job: Any) -> None:
        await job.sleep(HOUR)

    key = add(store)
    with caplog.at_level("INFO", logger="ucam_faas"):
        response = await wake(make_app(make_task(act), clock=clock, store=store))

    row, line = row_of(store, key), caplog.records[-1]
    assert response.status == 200
    assert (row.state, row.due) == (State.PENDING, store.now() + 3600)
    assert (row.attempts, row.interruptions) == (0, 0)
    assert (line.levelname, line.fields["outcome"]) == ("INFO", "sleeping")  # type: ignore[attr-defined]


@on_a_loop
async def test_a_job_that_wakes_early_sleeps_for_the_rest(
    make_task: MakeTask, store: FaultyStore, clock: ManualClock
) -> None:
    """Its process was lost after the sleep was stored, and before the row was."""

    async def act(job: Any) -> None:
        await job.sleep(HOUR)

    key = add(store)
    app = make_app(make_task(act), clock=clock, store=store)
    row = store.claim(key, lease=60, instance="lost")
    assert row is not None
    until = store.now() + 3600
    store.put_step(key, "sleep 1", json.dumps(until).encode(), fence=row.fence)
    clock.advance(60)

    await wake(app)
    assert row_of(store, key).due == until
    clock.advance(3600 - 60)
    await wake(app)

    assert causes(store, key)[-4:] == [
        *("claimed after a lost process", "sleeping", "claimed", "finished")
    ]


def test_a_task_that_catches_the_signal_sleeps_all_the_same(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    async def act(job: Any) -> str:
        try:
            await job.sleep(HOUR)
        except BaseException:  # that is the mistake
            return "never"
        return "slept"

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()
    assert job.status == State.PENDING
    jobs.advance(HOUR)

    assert job.result() == "slept"


def test_a_task_group_may_sleep(ucam_faas_jobs: JobsFactory) -> None:
    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> str:
        job = ucam_faas.current_job()
        async with asyncio.TaskGroup() as group:
            group.create_task(job.sleep_async(2 * HOUR, name="b"))
            group.create_task(job.sleep_async(HOUR, name="a"))
        return "slept"

    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.advance(3 * HOUR)

    assert job.result() == "slept"


def test_a_job_that_is_cancelled_before_it_sleeps_ends(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    async def act(job: Any) -> None:
        sent.cancel()
        await job.sleep(HOUR)

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    sent = task.send(b"go")
    jobs.run_all()

    assert sent.status == State.CANCELLED


@on_a_loop
async def test_a_job_that_is_cancelled_ends_with_the_step_in_flight(
    make_task: MakeTask, store: FaultyStore, clock: ManualClock
) -> None:
    done: list[int] = []

    async def act(job: Any) -> None:
        for number in range(3):
            await job.step(f"{number}", done.append, number)
            store.request_cancel(key)

    key = add(store)

    await wake(make_app(make_task(act), clock=clock, store=store))

    assert (row_of(store, key).state, done) == (State.CANCELLED, [0, 1])
    assert len(store.steps(key)) == 2


@pytest.mark.parametrize("duration", [3600, None])
def test_a_sleep_takes_a_timedelta(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, duration: Any
) -> None:
    async def act(job: Any) -> str:
        with pytest.raises(TypeError, match=r"such as timedelta\(hours=1\)"):
            await job.sleep(duration)
        with pytest.raises(ValueError, match="at most 36500 days"):
            await job.sleep(timedelta.max)
        await job.sleep(timedelta(0))
        return "awake"

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    job = task.send(b"go")
    jobs.run_all()

    assert job.result() == "awake"


@on_a_loop
async def test_a_process_that_lost_its_job_stores_no_step(
    make_task: MakeTask, store: FaultyStore, clock: ManualClock
) -> None:
    errors: list[BaseException] = []

    def lose() -> None:
        store.change(key, ends.interrupted("other"))
        store.claim(key, lease=60, instance="other")

    async def act(job: Any) -> None:
        for call in (job.step("a", lose), job.save_cursor(1), job.sleep(HOUR)):
            try:
                await call
            except JobLostError as error:
                errors.append(error)

    key = add(store)

    await wake(make_app(make_task(act), clock=clock, store=store))

    assert len(errors) == 3
    assert store.steps(key) == []
    assert causes(store, key)[-2:] == ["interrupted", "claimed"]


class Silent(FaultyStore):
    """A store that doesn't answer to some steps."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.steps_that_fail = 0
        self.statements: list[str] = []

    def put_step(self, key: Key, name: str, value: bytes, *, fence: int) -> bool | None:
        if self.steps_that_fail:
            self.steps_that_fail -= 1
            raise JobStoreError("down")
        return super().put_step(key, name, value, fence=fence)

    def _run(self, connection: Any, statement: str, values: Any) -> Any:
        self.statements.append(statement)
        return super()._run(connection, statement, values)


@on_a_loop
async def test_a_step_that_is_done_is_stored_when_the_store_answers_again(
    make_task: MakeTask, clock: ManualClock
) -> None:
    store, charge = Silent(clock), Flaky(failures=0)
    store.steps_that_fail = 2

    async def act(job: Any) -> Any:
        return await job.step("charge", charge)

    key = add(store)

    await wake(make_app(make_task(act), clock=clock, store=store))

    assert (row_of(store, key).result, charge.calls) == (b"1", 1)
    store.close()


@on_a_loop
async def test_a_step_that_can_not_be_stored_while_the_claim_lasts_fails(
    make_task: MakeTask, clock: ManualClock
) -> None:
    store, charge = Silent(clock), Flaky(failures=0)
    store.steps_that_fail = 1_000_000

    async def act(job: Any) -> Any:
        return await job.step("charge", charge)

    key = add(store)

    await wake(make_app(make_task(act), clock=clock, store=store))

    error = row_of(store, key).error
    assert error is not None
    assert (error["type"], charge.calls) == ("JobStoreError", 1)
    store.close()


@pytest.mark.parametrize("steps", [0, 2])
@on_a_loop
async def test_steps_take_a_statement_each_and_a_later_attempt_one_more(
    make_task: MakeTask, clock: ManualClock, steps: int
) -> None:
    store, end = Silent(clock), Flaky()

    async def act(job: Any) -> None:
        for number in range(steps):
            await job.step(f"{number}", int)
        end()

    add(store)
    app = make_app(make_task(act), clock=clock, store=store)
    store.statements.clear()

    await wake(app)
    first, store.statements = store.statements, []
    clock.advance(10)
    await wake(app)

    assert first == ["claim", *["put_step"] * steps, "change"]
    assert store.statements == ["claim", *["steps"] * (steps > 0), "change"]
    store.close()


@ucam_faas.message_handler(message_type=None)
def child(data: bytes) -> None:
    """Do nothing."""


def test_the_jobs_that_a_skipped_step_sent_do_not_take_the_ids_of_another_step(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    end = Flaky()

    async def act(job: Any) -> list[str]:
        def send() -> str:
            return str(child.send(b"same").id)

        first = await job.step("a", send)
        assert first == await job.step("sent again", lambda: first)
        end()
        return [first, await job.step("b", send), send()]

    task = make_task(act)
    jobs = ucam_faas_jobs(task, child)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert len(set(job.result())) == 3


def test_the_jobs_that_a_loop_sends_after_its_cursor_have_the_ids_of_the_attempt_before(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory
) -> None:
    ids: list[str] = []

    async def act(job: Any) -> None:
        for number in range(await job.cursor() or 0, 4):
            ids.append(child.send(b"same").id)
            if len(ids) in (2, 4):
                raise RuntimeError
            await job.save_cursor(number + 1)

    task = make_task(act)
    jobs = ucam_faas_jobs(task, child)
    task.send(b"go")
    jobs.advance(HOUR)

    assert len(ids) == 6
    assert (ids[1], ids[3]) == (ids[2], ids[4])
    assert len(set(ids)) == 4


def test_a_step_in_a_transaction_is_stored_with_its_commit_or_not_at_all(
    ucam_faas_jobs: JobsFactory, tmp_path: Path
) -> None:
    path = str(tmp_path / "shop.db")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE payments (pence)")
    pence: list[int] = []

    def pay() -> int:
        connection.execute("INSERT INTO payments VALUES (5)")
        pence.append(5)
        return 5

    def pay_in_block(job: CurrentJob, error: type[Exception] | None = None) -> None:
        with ucam_faas.transaction(connection):
            job.step("pay", pay)
            with pytest.raises(RuntimeError, match="out of the block"):
                job.sleep(HOUR)
            if error:
                raise error

    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None:
        job = ucam_faas.current_job()
        if not pence:
            with pytest.raises(KeyError):
                pay_in_block(job, KeyError)
        pay_in_block(job)
        if job.attempt == 1:
            raise RuntimeError

    jobs = ucam_faas_jobs(task, database=path)
    job = task.send(b"go")
    jobs.advance(HOUR)

    assert (job.status, len(pence)) == (State.SUCCESS, 2)
    assert connection.execute("SELECT * FROM payments").fetchall() == [(5,)]
    connection.close()


def test_a_store_with_a_limit_refuses_steps_that_are_too_large_with_their_size(
    make_task: MakeTask, ucam_faas_jobs: JobsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(job: Any) -> str:
        await job.step("small", lambda: "x" * 500)
        await job.save_cursor("x" * 100)
        await job.save_cursor("x" * 100)
        with pytest.raises(ValueError, match=r"'large' has 402 bytes, .* other steps have 614"):
            await job.step("large", lambda: "x" * 400)
        return "x" * 400

    task = make_task(act)
    jobs = ucam_faas_jobs(task)
    monkeypatch.setattr(jobs.store, "max_steps_bytes", 1000)
    monkeypatch.setattr(jobs.store, "max_bytes", 1000, raising=False)
    job = task.send(b"go")
    jobs.run_all()

    with pytest.raises(ResultNotStoredError, match="payload, attributes, steps and result"):
        job.result()
