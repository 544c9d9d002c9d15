"""The cost model counts what the package does, and docs/scale.md has the package's limits."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import ucam_faas
from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from tests.support.firestore import Bill, Firestore
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.gcp import limits
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import connections
from ucam_faas.jobs.stores.firestore.connect import api
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.jobs.sweep import LONGEST_AGAIN_SECONDS, sweep
from ucam_faas.publishing import MAX_PUBLISHED, later
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.publishing.rest import body_of
from ucam_faas.tasks import policies, topics
from ucam_faas.testing import ManualClock

ROOT = Path(__file__).parents[2]
AGAIN = Change(state=State.PENDING, cause="failed", visit=10.0, wait=10.0, failed=True)
DONE = Change(state=State.SUCCESS, cause="finished", visit=600.0)
KEY = Key("default", "task", "1")


@pytest.fixture(scope="module")
def costs() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("costs")


@pytest.mark.slow
def test_firestore_takes_what_the_model_counts(
    costs: ModuleType,
    firestore: Firestore,
) -> None:
    bill, clock = Bill(api(firestore.host)), ManualClock()
    store = FirestoreStore(bill, firestore.new_project(), clock=clock)

    store.insert([Row(key=KEY, payload=b"{}", visit=60.0)], wait=[0.0])
    assert bill.taken() == costs.FIRESTORE_SENT
    for change in (AGAIN, DONE):
        row = store.claim(KEY, lease=30.0, instance="here")
        assert row is not None
        store.change(KEY, change, fence=row.fence)
        assert bill.taken() == costs.FIRESTORE_ATTEMPT
        clock.advance(10)
    store.insert([Row(key=KEY._replace(id="2"), payload=b"{}", visit=0.0)], wait=[0.0])
    bill.taken()
    assert sweep(store, "default", wake=bool) == 1
    lanes = Counter(reads=1)  # the paused ones, once for up to 500 jobs
    assert bill.taken() == Counter(costs.FIRESTORE_SWEPT) + lanes
    store.close()


@on_a_loop
async def test_a_job_is_one_wake_and_one_request(costs: ModuleType) -> None:
    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> None: ...

    publisher, clock = MemoryPublisher({"projects/p/topics/task-inbox": []}), ManualClock()
    store = runtime.store_of(Settings(job_store="memory"))
    assert store is not None
    here = runtime.Runtime(Settings(project="p"), clock, publisher, store=store)
    runtime.CURRENT.set(here)
    job = task.send(b"four")
    ((wakes),) = publisher.topics.values()

    response = await wake(make_app(task, clock=clock, store=store), "task", job.id)

    assert (len(wakes), response.status, job.status) == (1, 200, State.SUCCESS)
    usage = costs.usage(costs.Load(retries=0.0))
    assert usage["Cloud Run request"] == usage["Firestore read"] == costs.MILLION
    assert usage["Pub/Sub data"] == 2 * costs.MILLION * costs.LEAST_BYTES
    assert len(body_of([ucam_faas.publishing.Draft(b"", wakes[0].attributes)])) < costs.LEAST_BYTES


def test_a_million_jobs_in_firestore_cost_as_the_guide_to_stores_says(costs: ModuleType) -> None:
    usd = costs.costs(costs.Load(retries=0.0))

    firestore = [usd[f"Firestore {kind}"] for kind in ("read", "write", "delete")]
    assert firestore == pytest.approx([0.60, 5.40, 0.20])
    guide = (ROOT / "docs/stores.md").read_text()
    assert "0.60 + 5.40 + 0.20 = 6.20 USD" in guide


def test_more_jobs_at_a_time_cost_less_and_retries_more(costs: ModuleType) -> None:
    base = costs.Load()

    def total(**values: float) -> float:
        return float(sum(costs.costs(replace(base, **values)).values()))

    assert total(at_a_time=8) < total() < total(retries=0.5)
    assert total(delayed=1.0, queue=False) > total(delayed=1.0)


def test_the_advice_on_instances_that_run_all_the_time_follows_from_their_prices(
    costs: ModuleType,
) -> None:
    def second(name: str) -> float:
        """One vCPU and 512 MiB."""
        cpu, memory = (costs.PRICES[f"{name} {resource}"].usd for resource in ("CPU", "memory"))
        return float(cpu + memory / 2)

    busy = second("Cloud Run")

    assert second("instance-based") / busy == pytest.approx(0.75, abs=0.02)  # three quarters
    assert second("worker pool") / busy == pytest.approx(0.5, abs=0.05)  # half
    assert second("idle instance") < second("worker pool")


@pytest.mark.parametrize(
    ("price", "error"),
    [
        ("Firestore=1", "no price 'Firestore'"),
        ("Firestore write", "Expected: Firestore write=0.09"),
    ],
)
def test_a_wrong_price_is_an_error_in_one_line(
    costs: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    price: str,
    error: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["costs.py", "--price", price])

    with pytest.raises(SystemExit):
        costs.main()

    assert error in capsys.readouterr().err


def test_docs_scale_has_the_packages_limits(costs: ModuleType) -> None:
    text = (ROOT / "docs/scale.md").read_text()
    mebibytes = limits.MAX_MESSAGE_BYTES // 1024**2
    said = [
        f"{mebibytes} MB; {MAX_PUBLISHED:,} messages",
        f"{limits.MIN_ACK_DEADLINE_SECONDS} to {limits.MAX_ACK_DEADLINE_SECONDS} s",
        f"0 to {policies.MAX_BACKOFF.seconds} s",
        f"{topics.MIN_INBOX_BACKOFF_SECONDS} to {topics.MAX_INBOX_BACKOFF_SECONDS} s",
        f"{limits.MAX_RETENTION_SECONDS // 86400} days at most",
        f"tasks have {later.MAX_BODY_BYTES // 1000} kB at most",
        f"{round(later.MAX_AHEAD_SECONDS / 86400)} days",
        f"| {limits.CPU_QUOTA} in a new project",
        f"{limits.REQUESTS_OF_AN_INSTANCE} by default, {policies.MAX_CONCURRENCY:,} at most",
        f"{FirestoreStore.max_bytes:,} bytes",
        f"{connections.MAX_CONNECTIONS} at most",
        f" {connections.MAX_CONNECTIONS + 1}`: ",
        {3600.0: "woken again each hour"}[LONGEST_AGAIN_SECONDS],
    ]

    assert [phrase for phrase in said if phrase not in text] == []


def test_a_month_is_the_use_of_its_messages_beyond_the_free_quotas(costs: ModuleType) -> None:
    load = costs.Load(run_seconds=0.5, at_a_time=1, retries=0.5, cpu=2, memory_gib=4)
    month = costs.Month(a_day=1000, load=load, message_bytes=5000)
    jobs = replace(month, jobs=True)

    assert costs.month_usage(month) == {
        "Cloud Run request": 45_000,
        "Cloud Run CPU": 45_000,
        "Cloud Run memory": 90_000,
        "Pub/Sub data": 75_000 * 5000,
    }
    assert costs.month_usage(jobs)["Firestore write"] == 30_000 * (1 + 1.5 * 2)
    assert costs.month_costs(month) == 0
    assert costs.month_costs(month, free={"Cloud Run request": 20_000}) == pytest.approx(
        0.4 * 0.025 + 24 * 0.045 + 2.5 * 0.09 + 40 * 75_000 * 5000 / 2**40
    )
