"""Real processes that share a store: races for jobs, and kills at any moment."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.postgresql_proxy import Fault, cut_after, cut_before, failing, killed
from tests.support.postgresql import Server
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore

pytestmark = pytest.mark.slow

JOBS = 30
KEY, OTHER = Key("app", "charge", "1"), Key("app", "charge", "2")
SECONDS = 60

CLAIM = f"""
import sys
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Key

store = store_of(Settings.from_environ(job_store=sys.argv[1]))
store.now()
print("ready", flush=True)
sys.stdin.readline()
for number in range({JOBS}):
    if store.claim(Key("app", "charge", str(number)), lease=60, instance="claimant"):
        print(number)
store.close()
"""

LIVE = """
import os, signal, sys
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State

job_store, end = sys.argv[1], int(sys.argv[2])
steps = 0

def die_at_last(*_):
    global steps
    steps += 1
    if steps == end:
        os.kill(os.getpid(), signal.SIGKILL)

store = store_of(Settings(job_store=job_store))
connect = store._connect

def connect_and_count():
    connection = connect()
    connection.set_trace_callback(die_at_last)  # before each statement
    connection.set_progress_handler(die_at_last, 50)  # and within it: each is a transaction
    return connection

if end:
    store._connect = connect_and_count
keys = [Key("app", "charge", id) for id in "12"]
rows = [Row(key=key, payload=b"{}", owner="me", visit=60.0) for key in keys]
print("ready", flush=True)
store.insert(rows, wait=[0.0, 0.0])
print("sent", flush=True)
row = store.claim(keys[0], lease=0.0, instance="first")
print("claimed", flush=True)
done = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
store.change(keys[0], done, fence=row.fence)
print("finished", flush=True)
store.close()
"""


def opened(job_store: str) -> JobStore:
    store = store_of(Settings.from_environ(job_store=job_store))
    assert store is not None
    return store


def test_each_job_is_claimed_by_one_of_many_processes(job_store: str) -> None:
    store = opened(job_store)
    rows = [Row(key=Key("app", "charge", str(n)), payload=b"{}", visit=60.0) for n in range(JOBS)]
    store.insert(rows, wait=[0.0] * JOBS)
    claimants = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, job_store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    for claimant in claimants:
        assert claimant.stdout is not None
        assert claimant.stdout.readline() == "ready\n"
    outputs = []
    for claimant in claimants:
        assert claimant.stdin is not None
        claimant.stdin.write("go\n")
        claimant.stdin.flush()
    for claimant in claimants:
        output, _ = claimant.communicate(timeout=SECONDS)
        outputs += output.split()

    assert Counter(outputs) == Counter(map(str, range(JOBS)))
    store.close()


def test_a_process_that_is_killed_at_any_step_leaves_whole_writes(tmp_path: Path) -> None:
    """Each write is there as a whole once its caller knows of it; a write may be there before."""
    for step in range(1, 100):
        job_store = f"sqlite:{tmp_path}/{step}.db"
        process = subprocess.run(
            [sys.executable, "-c", LIVE, job_store, str(step)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        check_writes(job_store, process.stdout)
        if process.returncode == 0:
            break

    assert process.returncode == 0, process.stderr
    assert step > 15  # five statements; the claim and the end have a hundred instructions each


FORK = """
import os, sys
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State

store = store_of(Settings.from_environ(job_store=sys.argv[1]))
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600)

def insert(id):
    key = Key("app", "charge", id)
    store.insert([Row(key=key, payload=b"{}", visit=60.0)], wait=[0.0])
    return key

def finish(key):
    store.change(key, DONE, fence=store.claim(key, lease=60, instance="here").fence)

of_parent = insert("parent")
ended = store.end_of(of_parent)
ready, go = os.pipe(), os.pipe()
if os.fork() == 0:
    before = insert("before")
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    after = insert("after")
    own = store.end_of(after)
    finish(after)
    assert own.result(30).state is State.SUCCESS
    os._exit(0)
os.read(ready[0], 1)
finish(of_parent)
assert ended.result(30).state is State.SUCCESS
store.close()
os.write(go[1], b"x")
_, status = os.wait()
assert status == 0, status
print(*sorted(row.key.id for row in store.find("app")))
store.close()
"""


@pytest.mark.parametrize("fault", [cut_before, cut_after])
def test_a_client_that_is_killed_around_any_statement_leaves_whole_writes(
    postgresql: Server, new_database: Callable[[], str], fault: Fault
) -> None:
    for statement in range(1, 100):
        url, process = new_database(), None
        kill = killed(lambda: process.pid, fault)  # noqa: B023
        with failing(postgresql, statement, kill) as proxy:
            process = subprocess.Popen(
                [sys.executable, "-c", LIVE, proxy.url(url), "0"], stdout=subprocess.PIPE, text=True
            )
            output, _ = process.communicate(timeout=SECONDS)
        check_writes(url, output)
        if process.returncode == 0:
            break

    assert process.returncode == 0
    assert statement == 4  # each write is one


def check_writes(job_store: str, output: str) -> None:
    """Check the writes of a process that may have been killed, and do the rest of its work."""
    _, *known = output.split()
    store = opened(job_store)
    row = store.get(KEY)
    causes = [] if row is None else [entry.cause for entry in row.history]
    assert causes[: len(known)] == known
    assert len(causes) <= len(known) + 1
    assert (store.get(OTHER) is None) == (row is None)
    assert recovered(store) is not None
    store.close()


def recovered(store: JobStore) -> Row | None:
    """Return the row after another process has finished the work."""
    (there,) = store.insert([Row(key=KEY, payload=b"{}", owner="me", visit=60.0)], wait=[0.0])
    assert there.owner == "me"
    if there.state is State.SUCCESS:
        return there
    row = store.claim(KEY, lease=60.0, instance="second")
    assert row is not None
    assert row.attempts == row.fence - 1
    done = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
    assert store.change(KEY, done, fence=row.fence - 1) is None
    return store.change(KEY, done, fence=row.fence)


@pytest.mark.parametrize("job_store", ["sqlite", "postgresql"], indirect=True)
def test_a_forked_process_keeps_its_jobs_when_its_parent_closes_the_store(job_store: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", FORK, job_store],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert process.stdout == "after before parent\n", process.stderr
