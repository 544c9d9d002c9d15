"""`ucam-faas send`, `jobs` and `sweep`: jobs from the command line, in a store of the test's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.sources import Sources
from ucam_faas.actions.jobs import shown
from ucam_faas.cli import _job_store, main
from ucam_faas.cli._parameters import DURATION
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.jobs import pages
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.send_options import retry_of
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks.policies import RetryPolicy, wait_seconds
from ucam_faas.testing import ManualClock

TASKS = """
import pydantic

class Order(pydantic.BaseModel):
    number: int
    pence: int = 100

@ucam_faas.message_handler
def charge(order: Order) -> int: ...

@ucam_faas.message_handler
def refund(order: Order) -> int: ...

@ucam_faas.message_handler(unique=lambda order: order.number)
def ship(order: Order) -> int: ...

@ucam_faas.message_handler
def tidy(): ...

@ucam_faas.http(path="/page")
def page(request): ...
"""
SECRET = {"number": 4711}
ORDER = json.dumps(SECRET)
ERROR = {"type": "ValueError", "message": "no card", "traceback": "File card.py, line 7"}
DAY = 86400.0


class Publisher(MemoryPublisher):
    """Calls a function after each wake, as a task would run."""

    on_wake: Callable[[], object] | None = None

    def publish_many(self, *args: Any, **options: Any) -> list[str]:
        """Publish."""
        message_ids = super().publish_many(*args, **options)
        if self.on_wake is not None:
            self.on_wake()
        return message_ids


class Shop:
    """A store, a Pub/Sub in memory, and the command line in a folder with tasks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = SqliteStore(":memory:", self.clock)
        self.publisher = Publisher()
        for name in ("charge", "refund", "ship", "tidy"):
            self.publisher.topics[f"{name}-inbox"] = []
        self.settings = Settings(job_store="memory")

    def run(self, *arguments: str, input: bytes | None = None) -> Result:
        """Call the command line."""
        return CliRunner().invoke(main, arguments, input=input)

    def sent(self, task: str = "charge", id: str = "1", *, ago: float = 0.0, **values: Any) -> Key:
        """Send a job, so many seconds ago."""
        key = Key("default", task, id)
        row = Row(key=key, payload=ORDER.encode(), owner="me", visit=60.0, **values)
        self.clock.advance(-ago)
        self.store.insert([row], wait=[0.0])
        self.clock.advance(ago)
        return key

    def started(self, id: str = "1", task: str = "charge") -> Row:
        """Send a job and start it."""
        row = self.store.claim(self.sent(task, id), lease=60, instance="here")
        assert row is not None
        return row

    def ended(self, state: State, id: str = "1", **values: Any) -> Key:
        """Send a job, and end it."""
        row = self.started(id)
        values = {"error": ERROR if state is State.FAILURE else None, **values}
        change = Change(state=state, cause="ended", visit=DAY, **values)
        self.store.change(row.key, change, fence=row.fence)
        return row.key

    def row(self, id: str = "1", task: str = "charge") -> Row:
        """Return the row of a job."""
        row = self.store.get(Key("default", task, id))
        assert row is not None
        return row

    def wakes(self, task: str = "charge") -> list[str]:
        """Return the ids of the jobs that were woken."""
        topic = self.publisher.topics[f"{task}-inbox"]
        return [message.attributes["ucam_faas_job"] for message in topic]


@pytest.fixture
def shop(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(sources.root)
    sources.write("main.py", before=TASKS)
    shop = Shop()
    here = runtime.Runtime(shop.settings, shop.clock, shop.publisher, store=shop.store)
    token = runtime.CURRENT.set(here)
    yield shop
    runtime.CURRENT.reset(token)
    shop.store.close()


def error_of(result: Result) -> str:
    """Return the one line of an error."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr.splitlines()[-1]


# --- send


def test_a_job_is_stored_and_woken_and_its_id_is_shown(shop: Shop) -> None:
    result = shop.run("send", "charge", ORDER, "--id", "order-17")

    assert result.stdout == (
        "Sent job order-17 to charge. To follow it:\n  ucam-faas jobs wait order-17 --task charge\n"
    )
    row = shop.row("order-17")
    assert (row.payload, row.state) == (ORDER.encode(), State.PENDING)
    assert shop.wakes() == ["order-17"]


def test_data_comes_from_a_file_or_standard_input(shop: Shop, sources: Sources) -> None:
    (sources.root / "order.json").write_bytes(ORDER.encode())

    shop.run("send", "charge", "--file", "order.json", "--id", "1")
    shop.run("send", "charge", "--file", "-", "--id", "2", input=ORDER.encode())

    assert [shop.row(id).payload for id in "12"] == [ORDER.encode()] * 2


def test_a_sample_is_made_up(shop: Shop) -> None:
    assert shop.run("send", "charge", "--sample", "--id", "1").exit_code == 0

    assert "number" in json.loads(shop.row().payload)


def test_a_task_without_a_parameter_needs_no_data(shop: Shop) -> None:
    result = shop.run("send", "tidy", "--id", "1")

    assert result.exit_code == 0, result.output
    assert shop.row(task="tidy").payload == b""


def test_options_of_the_job_are_kept(shop: Shop) -> None:
    options = ("--delay", "1h30m", "--ttl", "2h", "--attribute", "a=b=c", "--ordering-key", "k")

    shop.run("send", "charge", ORDER, "--id", "1", *options)

    row, now = shop.row(), shop.store.now()
    assert (row.due, row.expires) == (now + 5400, now + 7200)
    assert (row.attributes, row.ordering_key) == ({"a": "b=c"}, "k")
    assert shop.wakes() == []


def test_limits_of_the_job_are_kept_in_place_of_the_tasks(shop: Shop) -> None:
    shop.run("send", "charge", ORDER, "--id", "1", "--retention", "30d", "--timeout", "20s")

    assert shop.row().options == {"retention": 30 * DAY, "timeout": 20}


@pytest.mark.parametrize(
    ("retry", "attempts", "waits"),
    [
        ("1", 1, [10, 20, 40]),
        ("5,30s", 5, [30, 60, 120]),
        ("20,1m,1d", 20, [60, 120, 240]),
        ("3,1h,1h", 3, [3600, 3600, 3600]),
    ],
)
def test_retries_of_the_job_have_their_own_number_and_waits(
    shop: Shop, retry: str, attempts: int, waits: list[float]
) -> None:
    shop.run("send", "charge", ORDER, "--id", "1", "--retry", retry)

    policy = retry_of(shop.row(), RetryPolicy())
    assert policy.max_attempts == attempts
    assert [wait_seconds(policy, failures) for failures in (1, 2, 3)] == waits


def test_a_time_to_start_at_has_a_zone(shop: Shop) -> None:
    time = shop.clock.now() + timedelta(hours=1)

    shop.run("send", "charge", ORDER, "--id", "1", "--at", time.isoformat())
    refused = shop.run("send", "charge", ORDER, "--at", "2026-12-01T09:00:00")

    assert shop.row().due == time.timestamp()
    assert "a time with its zone, such as 2026-12-01T09:00:00Z" in error_of(refused)


def test_a_second_send_of_an_id_tells_that_the_job_is_there(shop: Shop) -> None:
    shop.run("send", "charge", ORDER, "--id", "1")

    again = shop.run("send", "charge", ORDER, "--id", "1")

    assert again.stdout.startswith("charge has the job 1 already: it was PENDING.")
    assert shop.wakes() == ["1"]


def test_a_send_whose_unique_key_is_taken_tells_of_the_job_that_has_it(shop: Shop) -> None:
    first = shop.run("send", "ship", ORDER, "--id", "1")
    shop.clock.advance(1)

    again = shop.run("send", "ship", ORDER)

    assert first.stdout.startswith("Sent job 1 to ship.")
    assert again.stdout.startswith("ship has the job 1 already: it was PENDING.")


def test_data_without_its_defaults_is_that_of_the_same_job(shop: Shop) -> None:
    shop.sent()

    again = shop.run("send", "charge", json.dumps({**SECRET, "pence": 100}), "--id", "1")

    assert again.stdout.startswith("charge has the job 1 already: it was PENDING.")


def test_an_id_with_other_data_is_a_conflict(shop: Shop) -> None:
    shop.run("send", "charge", ORDER, "--id", "1")

    error = error_of(shop.run("send", "charge", '{"number": 1}', "--id", "1"))

    assert "The job '1' of 'charge' was sent with another payload" in error
    assert "4711" not in error


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["send", "chrge", ORDER], "charge"),
        (["send", "charge"], "There is no data to send to 'charge'."),
        (["send", "charge", "{}"], "number: Field required"),
        (["send", "charge", ORDER, "--sample"], "only one of DATA, --file and --sample"),
        (["send", "charge", ORDER, "--delay", "10"], "a number with its unit, such as 30s"),
        (["send", "charge", ORDER, "--wait-timeout", "1s"], "--wait-timeout is for --wait"),
        (["send", "charge", ORDER, "--timeout", "2d"], "Send a shorter timeout"),
        (["send", "charge", ORDER, "--retention", "0s"], "expected a positive timedelta"),
        (
            ["send", "charge", ORDER, "--retry", "often"],
            "a number of attempts and up to two waits",
        ),
        (["send", "charge", ORDER, "--retry", "0"], "expected 1 to 100 attempts"),
        (["send", "charge", ORDER, "--retry", "5,1m,1s"], "first wait is longer than the longest"),
        (["send", "charge", ORDER, "--retry", "5,10"], "a number with its unit, such as 30s"),
        (["send", "charge", ORDER, "--retry", "5,99999d"], "expected a number, in seconds"),
        (["send", "charge", '{"number":', "1}"], "put DATA in quotes"),
        (["send", "charge", ORDER, "--attribute", "a"], "expected KEY=VALUE"),
        (["send", "page", "x"], "'page'"),
    ],
    ids=str,
)
def test_a_send_that_cannot_work_is_refused(shop: Shop, arguments: list[str], hint: str) -> None:
    assert hint in error_of(shop.run(*arguments))
    assert shop.store.find("default") == []


def test_without_a_store_the_error_says_how_to_get_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_job_store._local_cloud, "elsewhere", lambda: " There.")
    with_none = runtime.Runtime(Settings(), shop.clock, shop.publisher)
    token = runtime.CURRENT.set(with_none)

    errors = [error_of(shop.run(*verb)) for verb in (["send", "charge", ORDER], ["jobs"])]

    runtime.CURRENT.reset(token)
    for error in errors:
        assert "There is no job store: start `ucam-faas dev` in this directory" in error
        assert error.endswith("such as sqlite:jobs.db. There.")


def test_a_sent_job_is_json_on_request_without_its_data(shop: Shop) -> None:
    result = shop.run("send", "charge", ORDER, "--id", "1", "--json")

    document = json.loads(result.stdout)
    assert (document["id"], document["task"], document["state"]) == ("1", "charge", "PENDING")
    assert document["payload_bytes"] == len(ORDER)
    assert "4711" not in result.output


# --- wait


def test_waiting_tells_each_change_and_prints_the_result_alone_to_stdout(
    shop: Shop,
) -> None:
    shop.publisher.on_wake = lambda: finish(shop)

    result = shop.run("send", "charge", ORDER, "--id", "1", "--wait")

    assert (result.exit_code, result.stdout) == (0, '{"paid": true}\n')
    first, *changes = result.stderr.splitlines()
    assert first == "Sent job 1 to charge."
    assert [line[14:] for line in changes if "pages" not in line] == [
        "PENDING   sent", "STARTED   claimed, run 1", "SUCCESS   finished, run 1",
    ]  # fmt: skip


def finish(shop: Shop) -> None:
    row = shop.store.claim(Key("default", "charge", "1"), lease=60, instance="here")
    assert row is not None
    shop.store.report(row.key, {"done": 1, "total": 4, "note": "pages"}, fence=row.fence)
    done = Change(state=State.SUCCESS, cause="finished", visit=DAY, result=b'{"paid": true}')
    shop.store.change(row.key, done, fence=row.fence)


def test_waiting_for_a_job_that_failed_ends_with_1_and_its_error(shop: Shop) -> None:
    shop.ended(State.FAILURE)

    result = shop.run("jobs", "wait", "1")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("FAILURE: ValueError: no card.\n")
    assert "card.py" not in result.output


def test_an_error_that_ends_with_a_full_stop_gets_no_second_one(shop: Shop) -> None:
    shop.ended(State.FAILURE, error={**ERROR, "message": "There is no card."})

    assert shop.run("jobs", "wait", "1").stderr.endswith("ValueError: There is no card.\n")


def test_waiting_with_json_prints_one_document(shop: Shop) -> None:
    shop.ended(State.SUCCESS, result=b"17")

    result = shop.run("jobs", "wait", "1", "--json")

    assert result.stderr == ""
    assert json.loads(result.stdout)["result"] == 17


def test_waiting_ends_with_its_timeout(shop: Shop) -> None:
    shop.sent()

    result = shop.run("jobs", "wait", "1", "--timeout", "0s")

    assert result.exit_code == 2
    assert (
        "The job '1' is PENDING after 0 s, and goes on. To wait longer: ucam-faas jobs wait 1"
        in result.stderr
    )


def test_waiting_for_a_paused_job_tells_how_to_resume_it(shop: Shop) -> None:
    shop.ended(State.PAUSED)

    result = shop.run("jobs", "wait", "1", "--timeout", "0s")

    assert "waits for: ucam-faas jobs resume 1\n" in result.stderr
    assert "The job '1' is PAUSED after 0 s. To wait longer" in result.stderr


def test_progress_is_told_before_the_end_and_not_after_it(shop: Shop) -> None:
    row = shop.started()
    shop.store.report(row.key, {"done": 1, "total": 4, "note": "pages"}, fence=row.fence)

    running = shop.run("jobs", "wait", "1", "--timeout", "0s")
    done = Change(state=State.SUCCESS, cause="finished", visit=DAY, result=b"1")
    shop.store.change(row.key, done, fence=row.fence)
    ended = shop.run("jobs", "wait", "1")

    assert "1 of 4 (25 %), pages" in running.stderr
    assert "pages" not in ended.stderr


def test_progress_of_an_attempt_that_failed_is_not_told(shop: Shop) -> None:
    row = shop.started()
    shop.store.report(row.key, {"done": 1, "total": 4, "note": "pages"}, fence=row.fence)
    failed = Change(state=State.PENDING, cause="failed", visit=DAY, wait=10.0, failed=True)
    shop.store.change(row.key, failed, fence=row.fence)

    waiting = shop.run("jobs", "wait", "1", "--timeout", "0s")

    assert "runs again in 10 s" in waiting.stderr
    assert "pages" not in waiting.stderr


# --- jobs: list and show


def listed(shop: Shop, *arguments: str) -> list[str]:
    documents = json.loads(shop.run("jobs", "list", "--json", *arguments).stdout)
    return [document["id"] for document in documents]


def test_jobs_are_listed_the_latest_first(shop: Shop) -> None:
    shop.sent(id="old", ago=3 * 3600)
    shop.sent("refund", "new")

    result = shop.run("jobs")

    heading, new, old = result.stdout.splitlines()
    assert heading.split() == ["JOB", "TASK", "STATE", "SENT", "RUNS", "NOTE"]
    assert new.split() == ["new", "refund", "PENDING", "0", "s", "ago"]
    assert old.split() == ["old", "charge", "PENDING", "3", "h", "ago"]


def test_jobs_are_json_without_a_command_too(shop: Shop) -> None:
    shop.sent()

    result, before_a_verb = shop.run("jobs", "--json"), shop.run("jobs", "--json", "show", "1")

    assert result.stdout == shop.run("jobs", "list", "--json").stdout
    assert before_a_verb.stdout == shop.run("jobs", "show", "1", "--json").stdout


def test_the_list_is_filtered_by_task_state_and_age(shop: Shop) -> None:
    shop.sent(id="old", ago=2 * DAY)
    shop.sent("refund", "other")
    shop.ended(State.FAILURE, "bad")

    assert listed(shop, "--task", "refund") == ["other"]
    assert listed(shop, "--state", "failure", "--state", "success") == ["bad"]
    assert listed(shop, "--older", "1d") == ["old"]
    assert sorted(listed(shop, "--newer", "1d")) == ["bad", "other"]
    assert len(listed(shop, "--limit", "2")) == 2


def test_the_list_is_filtered_by_lane(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROWS", 2)  # the lane's jobs are on several pages
    for number in range(9):
        shop.sent(id=str(number), ago=1.0, lane=("default", "bulk")[number % 2])

    assert listed(shop, "--lane", "bulk") == ["7", "5", "3", "1"]
    assert listed(shop, "--lane", "bulk", "--limit", "2") == ["7", "5"]
    assert listed(shop, "--lane", "default", "--older", "6s") == ["2", "0"]


def test_the_list_is_filtered_by_batch(shop: Shop) -> None:
    for number in range(4):
        shop.sent(id=f"member-{number}", ago=1.0, batch="ship/9")
    shop.sent(id="other", batch="ship/10")
    shop.sent(id="none")
    shop.sent("ship", "9")

    assert listed(shop, "--batch", "9") == ["member-3", "member-2", "member-1", "member-0"]
    assert listed(shop, "--batch", "ship/9", "--limit", "2") == ["member-3", "member-2"]
    assert listed(shop, "--batch", "ship/9", "--older", "2s", "--task", "charge") == [
        "member-1",
        "member-0",
    ]
    assert listed(shop, "--batch", "ship/9", "--newer", "2s") == ["member-3", "member-2"]
    for nothing in (("ship/9", "--state", "success"), ("ship/9", "--task", "ship"), ("lost",)):
        assert "no jobs like that" in shop.run("jobs", "list", "--batch", *nothing).stdout


def test_a_list_that_is_cut_off_says_so(shop: Shop) -> None:
    shop.sent(id="1")
    shop.sent(id="2")

    assert "there may be more: --limit" in shop.run("jobs", "list", "--limit", "1").stderr


def test_an_empty_list_names_the_store(shop: Shop) -> None:
    assert shop.run("jobs").stdout == "There are no jobs in memory (application 'default').\n"
    assert shop.run("jobs", "list", "--task", "x").stdout.startswith("There are no jobs like that")


def test_notes_tell_what_a_job_waits_for(shop: Shop) -> None:
    shop.run("send", "charge", ORDER, "--id", "later", "--delay", "2h")
    row = shop.started("busy")
    shop.store.report(row.key, {"done": 1, "total": 4, "note": "pages"}, fence=row.fence)
    shop.ended(State.FAILURE, "bad")

    text = shop.run("jobs").stdout

    assert "starts in 2 h" in text
    assert "1 of 4 (25 %), pages" in text
    assert "ValueError" in text
    assert "no card" not in text


def test_a_job_is_shown_with_its_history_and_without_its_data(shop: Shop) -> None:
    shop.ended(State.FAILURE)

    text = shop.run("jobs", "show", "1").stdout

    assert text.startswith("1 of charge: FAILURE\n")
    assert "note  " not in text  # the error has it
    assert "error       ValueError: no card\n" in text
    assert "payload     16 bytes; --data shows them" in text
    assert "STARTED   claimed, run 1" in text
    assert "4711" not in text
    assert "card.py" not in text


def test_the_end_of_a_sleep_is_shown_as_the_other_times_are(shop: Shop) -> None:
    row = shop.started()
    change = Change(
        state=State.PENDING,
        cause="sleeping",
        visit=DAY,
        wait=DAY,
        message="until 2026-11-28 15:53:37+00:00",
    )
    shop.store.change(row.key, change, fence=row.fence)
    end = datetime(2026, 11, 28, 15, 53, 37, tzinfo=UTC).astimezone()

    text = shop.run("jobs", "show", "1").stdout

    assert f"sleeping, run 1: until {end:%a %d %b %Y %H:%M:%S %Z}\n" in text


def test_an_error_of_an_earlier_attempt_is_shown_as_the_last_error(shop: Shop) -> None:
    shop.ended(State.SUCCESS, error=ERROR)

    text = shop.run("jobs", "show", "1").stdout

    assert "\nlast error  ValueError: no card\n" in text


def test_the_steps_of_a_job_are_shown_without_their_results(shop: Shop) -> None:
    row = shop.started()
    for name in ["", *(f"page {number:02}" for number in range(21))]:
        shop.store.put_step(row.key, name, b'"secret"', fence=row.fence)

    text = shop.run("jobs", "show", "1").stdout
    document = json.loads(shop.run("jobs", "show", "1", "--json").stdout)

    assert "\n22 steps\n…             2 earlier\n" in text
    assert text.endswith("  page 20\n")
    assert "secret" not in text
    assert document["steps"][0].keys() == {"name", "time", "bytes"}
    assert [step["name"] for step in document["steps"][:2]] == ["(cursor)", "page 00"]


def test_data_and_traceback_are_shown_on_request(shop: Shop) -> None:
    shop.ended(State.FAILURE)

    text = shop.run("jobs", "show", "1", "--data", "--traceback").stdout
    document = json.loads(shop.run("jobs", "show", "1", "--data", "--json").stdout)

    assert ORDER in text
    assert "card.py" in text
    assert document["payload"] == ORDER
    assert "traceback" not in document["error"]


def test_the_cause_of_a_failure_is_shown_with_its_fingerprint(shop: Shop) -> None:
    cause = {"fingerprint": "1:8d1e0b10e762b240", "summary": "ValueError at cards.charge"}
    shop.ended(State.FAILURE, error={**ERROR, **cause})

    table = shop.run("jobs", "list").stdout
    text = shop.run("jobs", "show", "1").stdout
    document = json.loads(shop.run("jobs", "show", "1", "--json").stdout)

    assert "ValueError at cards.charge" in table
    assert "\ncause       1:8d1e0b10e762b240  ValueError at cards.charge\n" in text
    assert cause.items() <= document["error"].items()


def test_a_job_that_is_not_there_is_an_error_that_names_the_store(shop: Shop) -> None:
    error = error_of(shop.run("jobs", "show", "7", "--task", "charge"))

    assert "There is no job '7' of 'charge' in memory (application 'default')." in error


def test_an_id_of_several_tasks_needs_the_task(shop: Shop) -> None:
    shop.sent()
    shop.sent("refund")

    error = error_of(shop.run("jobs", "show", "1"))

    assert "Jobs of several tasks have the id '1': " in error
    assert "Choose one with --task." in error
    assert shop.run("jobs", "show", "1", "--task", "refund").exit_code == 0


# --- jobs: cancel, retry, resume, delete


def test_jobs_that_wait_are_cancelled(shop: Shop) -> None:
    shop.sent(id="1")
    shop.sent(id="2")

    result = shop.run("jobs", "cancel", "1", "2")

    assert result.stdout == "1 of charge is CANCELLED.\n2 of charge is CANCELLED.\n"
    assert shop.row("2").state is State.CANCELLED


def test_the_process_of_a_job_that_runs_is_asked_to_end_it(shop: Shop) -> None:
    shop.started()

    result = shop.run("jobs", "cancel", "1")

    assert result.stdout == "1 of charge is STARTED: its process was asked to end it.\n"
    assert result.exit_code == 0


@pytest.mark.parametrize("state", [State.FAILURE, State.CANCELLED])
def test_a_job_that_ended_without_success_runs_again(shop: Shop, state: State) -> None:
    shop.ended(state)

    assert shop.run("jobs", "retry", "1").stdout == "1 of charge is PENDING.\n"
    assert shop.wakes() == ["1"]


def test_a_paused_job_is_resumed(shop: Shop) -> None:
    shop.ended(State.PAUSED)

    assert shop.run("jobs", "resume", "1").stdout == "1 of charge is PENDING.\n"


def test_a_job_is_deleted(shop: Shop) -> None:
    shop.ended(State.SUCCESS)

    assert shop.run("jobs", "delete", "1").stdout == "1 of charge is deleted.\n"
    assert shop.store.find("default") == []


def test_all_means_every_job_and_not_a_page_of_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "ROWS", 20)
    for number in range(60):
        shop.ended(State.FAILURE, str(number))

    restrained = shop.run("jobs", "retry", "--all", "--limit", "3")
    result = shop.run("jobs", "retry", "--all")

    assert len(restrained.stdout.splitlines()) == 3
    assert len(result.stdout.splitlines()) == 57
    assert result.stderr == "57 of 57 jobs.\n"
    assert len(shop.store.find("default", states={State.PENDING})) == 60
    assert len(set(shop.wakes())) == 60


@pytest.mark.parametrize(
    ("verb", "state", "why"),
    [
        ("cancel", State.SUCCESS, "is SUCCESS: it has ended."),
        ("retry", State.SUCCESS, "only a job that ended without success runs again."),
        ("resume", State.FAILURE, "is FAILURE: it isn't paused."),
    ],
)
def test_an_action_that_the_state_forbids_ends_with_1(
    shop: Shop, verb: str, state: State, why: str
) -> None:
    shop.ended(state)

    result = shop.run("jobs", verb, "1")

    assert result.exit_code == 1
    assert why in result.stdout
    assert shop.row().state is state


def test_a_job_that_runs_is_not_deleted(shop: Shop) -> None:
    shop.started()

    assert "a process runs it: cancel it first" in shop.run("jobs", "delete", "1").stdout


def test_filters_choose_the_jobs_of_an_action(shop: Shop) -> None:
    shop.ended(State.FAILURE, "1")
    shop.ended(State.FAILURE, "2")
    shop.ended(State.CANCELLED, "3")
    shop.sent("refund", "4")

    result = shop.run("jobs", "retry", "--all", "--task", "charge", "--json")

    assert sorted(json.loads(result.stdout), key=lambda item: str(item["id"])) == [
        {"id": id, "task": "charge", "state": "PENDING", "done": True} for id in "12"
    ]


def test_a_batch_is_cancelled_by_its_callbacks_id(shop: Shop) -> None:
    shop.sent(id="member", batch="ship/9")
    shop.sent(id="other")
    shop.sent("ship", "9")

    result = shop.run("jobs", "cancel", "--all", "--batch", "9")

    assert result.stdout == "member of charge is CANCELLED.\n"
    assert shop.row("other").state is State.PENDING


@pytest.mark.parametrize("arguments", [[], ["1", "--all"]])
def test_an_action_needs_ids_or_all(shop: Shop, arguments: list[str]) -> None:
    error = error_of(shop.run("jobs", "cancel", *arguments))

    assert "Name jobs by their ids, or choose them with --all and filters." in error


# --- sweep and migrate


def test_help_names_the_states_that_all_chooses(shop: Shop) -> None:
    text = " ".join(shop.run("jobs", "delete", "--help").stdout.split())

    assert "without --state: success, failure, expired, cancelled." in text


def test_a_sweep_wakes_what_is_overdue(shop: Shop) -> None:
    shop.sent()
    shop.clock.advance(61)

    assert shop.run("sweep").stdout == "Swept 1 job of memory.\n"
    assert shop.wakes() == ["1"]
    assert json.loads(shop.run("sweep", "--json").stdout) == {"jobs": 0}


def test_a_store_that_makes_its_tables_by_itself_needs_no_migration(shop: Shop) -> None:
    assert shop.run("jobs", "migrate").stdout == "memory has its table.\n"


# --- values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("7d", 604800), ("2min", 120)],
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == timedelta(seconds=seconds)


def test_the_store_is_named_without_its_password() -> None:
    settings = Settings(job_store="postgresql://ada:secret@db:5432/jobs")

    assert shown(settings) == "postgresql://db:5432/jobs"


def test_show_has_the_batch_of_a_job_and_the_states_of_a_callbacks_jobs(shop: Shop) -> None:
    for id, state in (("1", State.PENDING), ("2", State.SUCCESS), ("3", State.SUCCESS)):
        key = Key("default", "charge", id)
        shop.store.insert([Row(key=key, payload=b"", batch="ship/9", visit=60.0)], wait=[0.0])
        shop.store.change(key, Change(state=state, cause="test", visit=60.0))
    callback = Row(key=Key("default", "ship", "9"), payload=b"", state=State.PAUSED, visit=60.0)
    shop.store.insert([callback], wait=[0.0])

    member, shown = shop.run("jobs", "show", "1").stdout, shop.run("jobs", "show", "9").stdout

    assert "batch       ship/9\n" in member
    assert "members     1 PENDING, 2 SUCCESS\n" in shown
    assert "waits for its batch" in shown
    assert json.loads(shop.run("jobs", "show", "9", "--json").stdout)["members"] == {
        "PENDING": 1,
        "SUCCESS": 2,
    }
    assert json.loads(shop.run("jobs", "show", "1", "--json").stdout)["batch"] == "ship/9"


def test_a_callback_that_waits_for_its_batch_isnt_resumed(shop: Shop) -> None:
    callback = Row(key=Key("default", "ship", "9"), payload=b"", state=State.PAUSED, visit=60.0)
    shop.store.insert([callback], wait=[0.0])

    by_id, every = shop.run("jobs", "resume", "9"), shop.run("jobs", "resume", "--all")

    assert (by_id.exit_code, every.exit_code) == (1, 0)
    assert "9 of ship is PAUSED: it waits for its batch." in by_id.output
    assert "There are no jobs like that." in every.output
