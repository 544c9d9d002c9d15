"""A payload is tried with the code of a source, in a process of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.clock import SystemClock
from ucam_faas.dead_letters.parser import (
    NOWHERE,
    FieldError,
    NotSentError,
    Parser,
    ParserError,
    StoppedError,
    UnknownTaskError,
)
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.local_state import LocalCloud

pytestmark = pytest.mark.slow

SHOP = """
import asyncio, os, sys, time
from datetime import timedelta
import msgspec
import pydantic
import ucam_faas
from ucam_faas import CloudEventType, DeadLetter, Ignore, Retry

print("the import prints")
STARTED = []

class Item(pydantic.BaseModel):
    sku: str
    price: int = 1

class Order(pydantic.BaseModel):
    items: list[Item]

class Parcel(msgspec.Struct):
    weights: list[int]

def choose(data):
    if data == b"retry":
        return Retry(reason="too early")
    if data == b"slow":
        time.sleep(1_000)
    if data == b"exit":
        os._exit(7)
    raise LookupError("no such format")

@ucam_faas.message_handler(environment={"SHOP": "open"})
def order(order: Order):
    print("the function prints")
    assert os.environ["SHOP"] == "open"
    if order.items[0].sku == "gone":
        raise DeadLetter("sold out")
    return order.items[0].price / order.items[0].price

@ucam_faas.message_handler
def parcel(parcel: Parcel): ...

@ucam_faas.message_handler(message_type=choose)
def chosen(payload): ...

@ucam_faas.raw_event
def raw(data): ...

@ucam_faas.cloud_event_handler(event_data_parser=CloudEventType("other", Order))
def event(event): ...

@ucam_faas.message_handler(topic="events", init=[lambda: STARTED.append(1)])
async def send(number: int):
    await asyncio.sleep(0)
    assert STARTED == [1]
    job = ucam_faas.current_job()
    job.progress(1, 2)
    await asyncio.to_thread(send.publish, number)
    await parcel.send_async(Parcel([1]))
    return job.id
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "main.py"
    path.write_text(SHOP)
    return path


@pytest.fixture(scope="module")
def parser(shop: Path) -> Iterator[Parser]:
    with Parser([str(shop)], may_run=True) as parser:
        yield parser


def test_a_payload_that_its_task_takes_has_no_errors(parser: Parser) -> None:
    checked = parser.read("order", b'{"items": [{"sku": "a"}]}', {"colour": "red"}, key="k")

    assert checked.errors == ()
    assert json.loads(checked.payload) == {"items": [{"sku": "a", "price": 1}]}


def test_errors_have_the_paths_of_their_fields(parser: Parser) -> None:
    errors = parser.check("order", b'{"items": [{"sku": "a"}, {"sku": "b", "price": "x"}, {}]}')

    assert [(error.path, error.kind) for error in errors] == [
        (("items", 1, "price"), "int_parsing"),
        (("items", 2, "sku"), "missing"),
    ]
    assert errors[0].name == "items.1.price"
    assert "valid integer" in errors[0].message


def test_an_error_of_msgspec_has_its_path(parser: Parser) -> None:
    errors = parser.check("parcel", b'{"weights": [1, "x"]}')

    assert errors == [FieldError(("weights", 1), "Expected `int`, got `str`", "ValidationError")]


@pytest.mark.parametrize(
    ("task", "data", "text"),
    [
        ("order", b"{", "Invalid JSON"),
        ("chosen", b"retry", "The parser returned Retry: too early."),
        ("chosen", b"", "LookupError: no such format"),
        ("event", b"{}", "WrongEventType: type: expected 'other'."),
    ],
)
def test_an_error_of_the_whole_payload_has_no_path(
    parser: Parser, task: str, data: bytes, text: str
) -> None:
    (error,) = parser.check(task, data)

    assert error.path == ()
    assert text in error.message


def test_a_raw_task_takes_anything(parser: Parser) -> None:
    assert parser.check("raw", b"\xff") == []


def test_an_unknown_task_is_said_and_the_process_stays(parser: Parser) -> None:
    with pytest.raises(UnknownTaskError, match=r"'oder'.*order"):
        parser.check("oder", b"")

    assert parser.check("raw", b"") == []


def test_a_slow_parser_is_stopped_and_the_next_payload_gets_another(shop: Path) -> None:
    with Parser([str(shop)], call_seconds=0.2) as parser:
        with pytest.raises(StoppedError, match=r"'chosen' took more than 0\.2 s"):
            parser.check("chosen", b"slow")

        assert len(Parser.check(parser, "chosen", b"")) == 1


def test_a_parser_that_ends_its_process_is_said(parser: Parser) -> None:
    with pytest.raises(StoppedError, match="'chosen' ended the process"):
        parser.check("chosen", b"exit")

    assert parser.check("raw", b"") == []


def test_an_import_that_ends_the_process_is_no_fault_of_a_payload(tmp_path: Path) -> None:
    """Each of 3,000 letters would start another one."""
    source = tmp_path / "main.py"
    source.write_text("import os\nos._exit(3)\n")

    with Parser([str(source)]) as parser, pytest.raises(ParserError) as raised:
        parser.check("order", b"")

    assert str(raised.value) == "Importing the sources ended the process; its output says why."
    assert not isinstance(raised.value, StoppedError)


def test_an_error_of_the_import_is_a_clear_answer_until_it_is_corrected(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("import ucam_faas\nimport nosuchmodule\n")

    with Parser([str(source)]) as parser:
        with pytest.raises(ParserError, match="no module named 'nosuchmodule'"):
            parser.check("order", b"")
        source.write_text(SHOP)

        assert len(parser.check("order", b"{}")) == 1


def test_changed_code_is_imported_after_reload(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(SHOP)

    with Parser([str(source)]) as parser:
        before = parser.check("order", b"{}")
        source.write_text(SHOP.replace("items: list[Item]", "items: list[Item] = []"))
        unchanged = parser.check("order", b"{}")
        parser.reload()
        after = parser.check("order", b"{}")

    assert (len(before), len(unchanged), len(after)) == (1, 1, 0)


def test_threads_share_a_parser(parser: Parser) -> None:
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        errors = parser.check("order", b'{"items": [%b]}' % b",".join([b"{}"] * number))
        answers[number] = len(errors)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {number: number for number in range(1, 9)}


def test_a_large_payload_is_read(parser: Parser) -> None:
    data = json.dumps({"items": [{"sku": "x" * 5_000_000}]}).encode()

    assert parser.check("order", data) == []


def test_a_function_runs_and_publishes_nothing(parser: Parser) -> None:
    ran = parser.run("send", b"3")

    assert (ran.error, ran.outcome, ran.is_done, ran.published) == ("", "done", True, 2)


@pytest.mark.parametrize(
    ("payload", "outcome", "error"),
    [
        (b'{"items": [{"sku": "a", "price": 0}]}', "crashed", "ZeroDivisionError: division by"),
        (b'{"items": [{"sku": "gone"}]}', "dead_letter", ""),
        (b'{"items": 3}', "invalid_payload", "ValidationError: "),
    ],
)
def test_a_function_that_fails_says_how(
    parser: Parser, payload: bytes, outcome: str, error: str
) -> None:
    ran = parser.run("order", payload)

    assert (ran.outcome, ran.is_done) == (outcome, False)
    assert ran.error.startswith(error)
    assert ran.fingerprint.startswith("1:")


def test_the_output_of_the_code_is_not_this_process_s(
    shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Parser([str(shop)], may_run=True) as parser:
        parser.run("order", b'{"items": [{"sku": "a"}]}')

    out, err = capfd.readouterr()
    assert out == ""
    assert "the import prints" in err


HOLDER = """
import sys
from ucam_faas.dead_letters.parser import Parser
parser = Parser([sys.argv[1]])
parser.check("raw", b"")
print(parser._child._process.pid, flush=True)
parser.check("chosen", b"slow")
"""


def test_the_process_ends_with_its_parent_while_it_is_busy(shop: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(shop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        process = os.pidfd_open(int(holder.stdout.readline()))
        holder.kill()

    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        assert poll.poll(30_000), "it goes on"
    finally:
        os.close(process)


RULES = """
from typing import Any
import pydantic
import ucam_faas
from ucam_faas import Limit

class Json(pydantic.RootModel[dict[str, Any]]):
    def __getitem__(self, name): return self.root[name]

@ucam_faas.message_handler(
    topic="orders",
    id=lambda order: f"order-{order['number']}",
    limit=Limit(lambda order: order["shop"], 1),
)
def charge(order: Json): ...

@ucam_faas.message_handler(topic="notes", unique=lambda text: text["to"], max_pending=1)
def note(text: Json): ...
"""


def test_a_job_is_sent_by_the_rules_that_its_task_declares(tmp_path: Path) -> None:
    source, jobs = tmp_path / "main.py", tmp_path / "jobs.db"
    source.write_text(RULES)
    cloud = LocalCloud(pubsub=NOWHERE, project="local", jobs=f"sqlite:{jobs}")
    with closing(SqliteStore(str(jobs), SystemClock())) as store:
        with Parser([str(source)], cloud=cloud) as parser:
            id = parser.send("charge", b'{"number": 17, "shop": "ely"}', {"colour": "red"})
            again = parser.send("charge", b'{"shop": "ely", "number": 17}', {"colour": "red"})
            first = parser.send("note", b'{"to": "ann"}', delay_seconds=60)
            same = parser.send("note", b'{"to": "ann"}')
            with pytest.raises(NotSentError, match="max_pending"):
                parser.send("note", b'{"to": "bob"}')
            with pytest.raises(NotSentError, match="KeyError"):
                parser.send("charge", b"{}")

        row = store.get(Key("default", "charge", "order-17"))
        assert row is not None
        assert (id, again, row.limit_key, row.attributes) == (
            "order-17",
            "order-17",
            "ely",
            {"colour": "red"},
        )
        assert first == same


@pytest.mark.parametrize("ends", ["time.sleep(1_000)", "os._exit(3)"])
def test_of_a_sending_that_was_stopped_it_isnt_known_whether_the_job_was_sent(
    tmp_path: Path, ends: str
) -> None:
    source = tmp_path / "main.py"
    source.write_text(RULES.replace('text["to"]', ends) + "\nimport os, time\n")
    cloud = LocalCloud(pubsub=NOWHERE, project="local", jobs=f"sqlite:{tmp_path}/jobs.db")

    with (
        Parser([str(source)], cloud=cloud, run_seconds=0.2) as parser,
        pytest.raises(StoppedError, match="isn't known whether the job was sent"),
    ):
        parser.send("note", b'{"to": "ann"}')
