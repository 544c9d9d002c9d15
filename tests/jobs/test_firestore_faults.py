"""Faults between a process and Firestore: lost answers, kills at each write, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from google.oauth2.credentials import Credentials

import ucam_faas
from tests.contract.job_store_contract import KEY, JobStoreContract, row
from tests.jobs.runs import wake
from tests.jobs.test_processes_share_a_store import recovered
from tests.serving.harness import make_app, on_a_loop
from tests.support.firestore import Firestore
from ucam_faas.clock import SystemClock
from ucam_faas.exceptions import JobStoreError
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores.firestore import documents
from ucam_faas.jobs.stores.firestore.connect import SCOPE, api
from ucam_faas.jobs.stores.firestore.server_time import ServerTime
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.net.google_rest import GoogleRest
from ucam_faas.net.rest import Api, CredentialsError
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow

SECONDS = 60


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAUSES_SECONDS", (0.0,) * len(documents.PAUSES_SECONDS))


class Deaf:
    """An API whose answers to writes are lost, once each."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.host = api.host
        self._hears: set[bytes] = set()

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        answer = self._api.post(path, body, timeout_seconds)
        if path.endswith(("commit", "batchWrite")) and body not in self._hears:
            self._hears.add(body)
            raise ConnectionResetError
        return answer

    def close(self) -> None:
        self._api.close()


class TestFirestoreStoreThatLosesAnswers(JobStoreContract):
    """Each write is made twice, and the second answer is that its condition isn't met.

    The requests are made as Google gets them: by google-auth, with a token.
    """

    @pytest.fixture
    def store(self, clock: ManualClock, firestore: Firestore) -> Iterator[FirestoreStore]:
        google = GoogleRest(
            f"http://{firestore.host}",
            SCOPE,
            extra="firestore",
            purpose="test",
            credentials=Credentials("owner"),
        )
        store = FirestoreStore(Deaf(google), firestore.new_project(), clock=clock)
        yield store
        store.close()

    test_a_history_keeps_its_beginning_and_its_end = None  # 200 writes more, and no other ones


LIVE = """
import os, signal, sys
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.firestore.connect import api
from ucam_faas.jobs.stores.firestore.store import FirestoreStore

host, project, end = sys.argv[1], sys.argv[2], int(sys.argv[3])
google, moments = api(host), 0

class Mortal:
    host = google.host

    def post(self, path, body, timeout_seconds):
        die_at_last()
        answer = google.post(path, body, timeout_seconds)
        die_at_last()
        return answer

def die_at_last():
    global moments
    moments += 1
    if moments == end:
        os.kill(os.getpid(), signal.SIGKILL)

store = FirestoreStore(Mortal(), project)
key = Key("app", "charge", "1")
store.insert([Row(key=key, payload=b"{}", owner="me", visit=60.0, unique="a")], wait=[0.0])
print("sent", flush=True)
row = store.claim(key, lease=0.0, instance="first")
print("claimed", flush=True)
done = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")
store.change(key, done, fence=row.fence)
print("finished", flush=True)
"""


def test_a_process_that_is_killed_before_or_after_any_request_leaves_whole_writes(
    firestore: Firestore,
) -> None:
    """Each write is there as a whole once its caller knows of it; a write may be there before."""
    for moment in range(1, 100):
        project = firestore.new_project()
        process = subprocess.run(
            [sys.executable, "-c", LIVE, firestore.host, project, str(moment)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        known = process.stdout.split()
        store = firestore.store(project=project)

        row = store.get(KEY)
        causes = [] if row is None else [entry.cause for entry in row.history]
        assert causes[: len(known)] == known
        assert len(causes) <= len(known) + 1
        assert recovered(store) is not None
        store.close()
        if process.returncode == 0:
            break

    assert process.returncode == 0, process.stderr
    requests = 6  # the time; the insert; reads and writes of the claim and, its lease over, the end
    assert moment == 2 * requests + 1


def test_a_store_that_is_down_is_an_error_and_works_when_it_is_back(
    firestore: Firestore,
) -> None:
    store = firestore.store()
    store.insert([row()], wait=[0.0])

    firestore.stop()
    with pytest.raises(JobStoreError, match=f"{firestore.host} doesn't answer"):
        store.claim(KEY, lease=30, instance="here")
    firestore.start()

    store.insert([row()], wait=[0.0])
    assert store.claim(KEY, lease=30, instance="here") is not None
    store.close()


class Switch:
    """An API that can be cut off for a number of calls."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.host = api.host
        self.cut_off = 0

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        if self.cut_off:
            self.cut_off -= 1
            raise ConnectionRefusedError
        return self._api.post(path, body, timeout_seconds)

    def close(self) -> None:
        self._api.close()


@on_a_loop
async def test_a_job_runs_once_though_firestore_is_down_at_its_claim_and_its_end(
    firestore: Firestore,
) -> None:
    google, ran = Switch(api(firestore.host)), []
    store = FirestoreStore(google, firestore.new_project())

    @ucam_faas.message_handler(message_type=None)
    def task(data: bytes) -> str:
        ran.append(data)
        google.cut_off = 2 * calls  # the second try to store the end is answered
        return "done"

    calls = len(documents.PAUSES_SECONDS) + 1  # of a method of the store, at most
    app = make_app(task, store=store)
    key = Key("default", "task", "1")
    store.insert([row(key, payload=b"1")], wait=[-60.0])

    google.cut_off = calls
    down = await wake(app)
    up = await wake(app)

    assert (down.status, up.status, ran) == (503, 200, [b"1"])
    kept = store.get(key)
    assert kept is not None
    assert [entry.cause for entry in kept.history] == ["sent", "claimed", "finished"]
    store.close()


class Broken:
    """An API that doesn't answer reads outside of transactions, and notes transactions."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.host = api.host
        self.is_broken = False
        self.open: set[str] = set()

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        request = json.loads(body)
        if self.is_broken and path.endswith("batchGet") and "newTransaction" not in request:
            raise ConnectionRefusedError
        status, answer = self._api.post(path, body, timeout_seconds)
        if "newTransaction" in request:
            self.open |= {each["transaction"] for each in json.loads(answer) if len(each) == 1}
        elif path.endswith("rollback") or status == 200:
            self.open.discard(request.get("transaction", ""))
        return status, answer

    def close(self) -> None:
        self._api.close()


def test_a_send_from_a_job_that_fails_in_the_middle_leaves_the_job_free(
    firestore: Firestore,
) -> None:
    """An open transaction would keep its locks of the job for a minute."""
    google, project = Broken(api(firestore.host)), firestore.new_project()
    store, other = FirestoreStore(google, project), firestore.store(project=project)
    store.insert([row(), row(Key("app", "ship", "1"), unique="17")], wait=[0.0, 0.0])
    parent = store.claim(KEY, lease=60, instance="here")

    google.is_broken = True
    with pytest.raises(JobStoreError, match="doesn't answer"):
        store.insert([row(Key("app", "ship", "2"), unique="17")], wait=[0.0], parent=parent)

    assert google.open == set()
    assert other.request_cancel(KEY) is not None
    store.close()
    other.close()


class Scripted:
    """An API with answers that are given before; the last one is repeated."""

    host = "firestore.test"

    def __init__(self, *answers: tuple[int, str] | Exception) -> None:
        self._answers = list(answers)
        self.calls = 0

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        self.calls += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, name = answer
        document = {"error": {"code": status, "status": name, "message": f"{name} it is."}}
        return status, json.dumps(document).encode()

    def close(self) -> None:
        """It has no connections."""


def test_a_missing_index_is_an_error_with_the_command_that_tells_how_to_make_it() -> None:
    google = Scripted((400, "FAILED_PRECONDITION: The query requires an index"))
    store = FirestoreStore(google, "p", clock=ManualClock())

    with pytest.raises(JobStoreError, match=r"requires an index.* `ucam-faas jobs migrate`"):
        store.find("app")


@pytest.mark.parametrize(
    ("answer", "calls", "text"),
    [
        ((403, "PERMISSION_DENIED"), 1, "Firestore: PERMISSION_DENIED: PERMISSION_DENIED it is"),
        ((404, "NOT_FOUND"), 1, "NOT_FOUND"),
        ((503, "UNAVAILABLE"), 4, "UNAVAILABLE"),
        ((429, "RESOURCE_EXHAUSTED"), 4, "RESOURCE_EXHAUSTED"),
        ((409, "ABORTED"), 4, "ABORTED"),
        (TimeoutError(), 4, r"firestore.test doesn't answer \(TimeoutError\)"),
        (CredentialsError("no token"), 1, "Firestore: no token"),
    ],
    ids=["forbidden", "no database", "down", "overloaded", "contention", "silent", "no token"],
)
def test_an_error_of_firestore_is_one_of_the_store(
    answer: tuple[int, str] | Exception, calls: int, text: str
) -> None:
    google = Scripted(answer)
    store = FirestoreStore(google, "p", clock=ManualClock())

    with pytest.raises(JobStoreError, match=text):
        store.get(KEY)
    assert google.calls == calls


class Fast(SystemClock):
    """The clock of a machine that is five minutes fast."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=5)


def test_times_are_googles_also_where_the_clock_of_the_machine_is_wrong(
    firestore: Firestore,
) -> None:
    """A machine whose clock is fast takes no job before its time, nor from its holder."""
    project, later = firestore.new_project(), Key("app", "charge", "2")
    store, fast = (firestore.store(project=project) for _ in range(2))
    fast._time = fast._documents._time = ServerTime(Fast())
    store.insert([row(), row(later)], wait=[0.0, 60.0])
    assert store.claim(KEY, lease=60, instance="here") is not None

    assert fast.claim(KEY, lease=60, instance="there") is None
    assert fast.claim(later, lease=60, instance="there") is None
    assert fast.now() == pytest.approx(store.now(), abs=5)
    store.close()
    fast.close()
