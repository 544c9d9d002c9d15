"""The pages of tasks and lanes, and sending from a form."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from google.protobuf.struct_pb2 import Struct
from pydantic import BaseModel

import ucam_faas
from tests.dashboard.asgi import Answer
from tests.dashboard.controls import submitted
from tests.dashboard.site import Pages
from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.publishing import Destination
from ucam_faas.backends.ports import Backends, KnownTask
from ucam_faas.config import Settings
from ucam_faas.dead_letters import parsing_process
from ucam_faas.dead_letters.parser import NotFormedError, NotSentError
from ucam_faas.execution.runtime import Runtime
from ucam_faas.history.rows import Message
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks.limit import Limit
from ucam_faas.tasks.needs import TaskNeeds, needs_of
from ucam_faas.tasks.payload_schemas import form_schema
from ucam_faas.testing import ManualClock


class Address(BaseModel):
    street: str
    city: str = "Basel"


class Order(BaseModel):
    id: int
    address: Address
    note: str | None = None


@ucam_faas.message_handler(topic="orders", lanes=["bulk"])
def charge(order: Order) -> None:
    """Charge a customer."""


@ucam_faas.message_handler(topic="files")
def store_file(data: bytes) -> None: ...


@ucam_faas.message_handler(schedule="0 3 * * *")
def tidy() -> None: ...


@ucam_faas.message_handler(
    topic="reminders",
    unique=lambda order: order.address.street,
    limit=Limit(lambda order: order.address.city, 1),
    max_pending=1,
)
def remind(order: Order) -> None: ...


@ucam_faas.http(path="/hello")
def hello(request: Any) -> str:
    return "hello"


@ucam_faas.message_handler(topic="numbers")
def count(avro: bytes) -> None: ...


@ucam_faas.message_handler(topic="paints", message_type=Struct)
def paint(paint: Struct) -> None: ...


PAINT = paint.task
FUNCTIONS = {f.task.name: f.task for f in (charge, store_file, tidy, hello, remind, count, paint)}
NUMBER = {"type": "record", "name": "Number", "fields": [{"name": "number", "type": "int"}]}
TOPIC_SCHEMAS = {
    "count": {"type": "AVRO", "definition": json.dumps(NUMBER), "encoding": "BINARY"},
}


def known() -> list[KnownTask]:
    tasks = FUNCTIONS.values()
    return [
        KnownTask(needs_of(t, Settings()), form_schema(t), TOPIC_SCHEMAS.get(t.name)) for t in tasks
    ]


@dataclass
class FieldError:
    path: list[str | int]
    message: str


@dataclass
class Parser:
    """Answers as the parser of the tasks' own code, which other tests start."""

    here: Runtime
    errors: list[FieldError] = field(default_factory=list)
    seen: list[tuple[Any, ...]] = field(default_factory=list)

    def check(self, task: str, data: bytes, attributes: dict[str, str]) -> list[FieldError]:
        self.seen.append((task, data, attributes))
        return self.errors

    def formed(self, task: str, data: bytes, topic_schema: dict[str, str] | None) -> bytes:
        question = {"data": b64encode(data).decode(), "topic_schema": topic_schema}
        answer = parsing_process.form(FUNCTIONS[task], question)
        if "refused" in answer:
            raise NotFormedError(answer["refused"])
        return b64decode(answer["data"])

    def send(self, task: str, data: bytes, attributes: dict[str, str], **options: Any) -> str:
        question = {"data": b64encode(data).decode(), "attributes": attributes, "cloud": None}
        question |= {"key": options.pop("key"), "options": options}
        answer = parsing_process.send(FUNCTIONS[task], question, self.here)
        if "refused" in answer:
            raise NotSentError(answer["refused"])
        return str(answer["id"])


@dataclass
class Site(Pages):
    store: SqliteStore
    publisher: MemoryPublisher
    parser: Parser
    clock: ManualClock

    def press(self, page: Answer, button: str, url: str, **typed: str) -> Answer:
        """Press a button of a page's form, after typing into some of its fields."""
        return self.post(url, {**submitted(page.text), **typed, "do": button})

    def jobs(self) -> list[Row]:
        return self.store.find("default", limit=10)


@pytest.fixture
def site() -> Iterator[Site]:
    clock = ManualClock()
    topics = (
        "orders",
        "files",
        "remind-inbox",
        "charge-inbox",
        "charge-inbox-bulk",
        "store_file-inbox",
        "numbers",
        "count-inbox",
        "paints",
        "paint-inbox",
    )
    publisher = MemoryPublisher({f"projects/p/topics/{name}": [] for name in topics})
    store = SqliteStore(":memory:", clock)
    settings = Settings(job_store="memory", project="p")
    runtime = Runtime(settings, clock, publisher, store=store)
    parser = Parser(runtime)
    backends = Backends(
        jobs=Jobs(runtime, store),
        publisher=Destination(publisher, "memory", "p", ""),
        tasks=known,
        parser=parser,
    )
    yield Site(backends, store, publisher, parser, clock)
    store.close()


SEND = "/tasks/charge/send"
TYPED = {"f/id": "17", "f/address/street": "Rheinweg 1"}
ORDER = {"id": 17, "address": {"street": "Rheinweg 1"}}


def test_a_nested_form_is_sent_as_a_job(site: Site) -> None:
    page = site.get(SEND)

    done = site.press(page, "send", SEND, **TYPED, lane="bulk", id="order-17")

    assert (done.status, done.headers["location"]) == (303, "/jobs/charge/order-17")
    row = site.store.get(Key("default", "charge", "order-17"))
    assert row is not None
    assert (json.loads(row.payload), row.lane) == (ORDER, "bulk")
    assert site.parser.seen == [("charge", row.payload, {})]


def test_a_form_is_published_with_attributes_that_buttons_added(site: Site) -> None:
    page = site.press(site.get(SEND), "add a", SEND, **TYPED)

    typed = {"a/0=": "tenant", "a/0": "north", "ordering_key": "17"}
    done = site.press(page, "publish", SEND, **typed)

    assert page.status == 200
    assert done.status == 303, done.text
    (message,) = site.publisher.topics["projects/p/topics/orders"]
    assert json.loads(message.data) == ORDER
    assert (message.attributes, message.ordering_key) == ({"tenant": "north"}, "17")


def test_a_task_that_gives_up_before_its_subscription_says_both_limits(site: Site) -> None:
    policy = ucam_faas.RetryPolicy(max_attempts=1)
    task = ucam_faas.message_handler(topic="orders", retry=policy, name="once")(lambda: None).task
    needs = TaskNeeds.from_json(json.loads(json.dumps(needs_of(task, Settings()).to_json())))

    page = site.get("/tasks/once", tasks=lambda: [KnownTask(needs)])

    assert "<dd>1 (the subscription&#39;s own limit is 5)</dd>" in page.text
    assert "subscription&#39;s own limit" not in site.get("/tasks/charge").text


class LateHistory:
    """Has a message some looks after its publication.

    Args:
        looks: until then.
        message: None: one with these attributes.
        attributes: of the message.
    """

    def __init__(self, looks: int, message: Message | None = None, **attributes: str) -> None:
        self.looks = looks
        self.kept = message or Message("1", 0.0, "projects/p/topics/orders", "", attributes, b"5")

    def last_seq(self) -> int:
        return 0

    def message(self, id: str) -> Message | None:
        self.looks -= 1
        if self.looks > 0:
            return None
        return replace(self.kept, id=id)

    def nothing(self, *args: Any) -> list[Any]:
        return []

    deliveries = timeline = nothing


@pytest.mark.parametrize(
    ("looks", "shown"),
    [
        pytest.param(5, "Without a reader", id="a moment later"),
        pytest.param(10**6, "Published; it isn&#39;t in the history yet", id="much later"),
    ],
)
def test_publishing_leads_to_the_message_though_the_history_is_late(
    site: Site, looks: int, shown: str
) -> None:
    late: Any = {"history": LateHistory(looks), "clock": ManualClock()}
    form = {**submitted(site.get(SEND).text), **TYPED, "do": "publish"}

    done = site.post(SEND, form, **late)
    page = site.get(done.headers["location"], **late)

    assert (done.status, page.status) == (303, 200)
    assert shown in page.text
    assert 'id="readers" data-live' in page.text, "the page's module renews this part"


def test_errors_of_the_task_are_at_their_fields_and_nothing_is_sent(site: Site) -> None:
    site.parser.errors = [FieldError(["address", "street"], "Value error, no such street")]

    answer = site.press(site.get(SEND), "send", SEND, **TYPED)

    assert answer.status == 422
    assert 'id="f/address/street-problem">Value error, no such street<' in answer.text
    assert submitted(answer.text)["f/address/street"] == "Rheinweg 1"
    assert site.jobs() == []


def test_fields_that_are_missing_are_named_before_the_task_is_asked(site: Site) -> None:
    answer = site.press(site.get(SEND), "send", SEND)

    assert answer.status == 422
    assert re.findall(r'href="#([^"]+)"', answer.text) == ["content", "f/id", "f/address/street"]
    assert answer.text.count("Fill this in.") == 4  # at the fields, and in the summary
    assert site.parser.seen == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("delay", "soon", "expected a number with its unit"),
        ("ordering_key", "k" * 2000, "The ordering key has over 1024 bytes"),
        ("lane", "fast", "charge has no lane"),
        ("id", "a\nb", "id="),
    ],
)
def test_an_option_that_cannot_be_used_is_said(
    site: Site, name: str, value: str, message: str
) -> None:
    answer = site.press(site.get(SEND), "send", SEND, **TYPED, **{name: value})

    assert answer.status == 422
    assert message in answer.text
    assert site.jobs() == []


COUNT = "/tasks/count/send"


def test_json_is_sent_in_the_form_that_the_topics_schema_asks_for(site: Site) -> None:
    page = site.get(COUNT)

    published = site.press(page, "publish", COUNT, text='{"number": 8}')
    sent = site.press(page, "send", COUNT, text='{"number": 8}', id="eight")

    assert (published.status, sent.status) == (303, 303)
    (message,) = site.publisher.topics["projects/p/topics/numbers"]
    (row,) = site.jobs()
    assert (message.data, row.payload) == (b"\x10", b"\x10")
    assert site.parser.seen == [("count", b"\x10", {})] * 2, "the task's code checks that form"


def test_json_that_has_no_form_by_the_topics_schema_is_refused_where_it_was_typed(
    site: Site,
) -> None:
    answer = site.press(site.get(COUNT), "publish", COUNT, text='{"numbr": 8}')

    assert answer.status == 422
    assert "numbr isn&#39;t a field of the schema" in answer.text
    assert submitted(answer.text)["text"] == '{"numbr": 8}'
    assert site.publisher.topics["projects/p/topics/numbers"] == []


def test_binary_data_that_look_like_json_are_sent_again_as_they_are(site: Site) -> None:
    minus_27 = b"5"
    site.press(site.get(COUNT), "send", COUNT, text='{"number": -27}', id="one")

    url = f"{COUNT}?{urlencode({'from': 'job:one'})}"
    done = site.press(site.get(url), "send", url, id="two")

    assert done.status == 303, done.text
    assert [row.payload for row in site.jobs()] == [minus_27, minus_27]


def test_a_binary_message_in_avro_opens_as_json_and_is_edited(site: Site) -> None:
    site.press(site.get(COUNT), "send", COUNT, text='{"number": -27}', id="one")
    url = f"{COUNT}?{urlencode({'from': 'job:one'})}"

    page = site.get(url)
    done = site.press(page, "send", url, text='{"number": 8}', id="two")
    wrong = site.press(page, "send", url, text='{"numbr": 8}', id="three")

    assert json.loads(submitted(page.text)["text"]) == {"number": -27}
    assert done.status == 303, done.text
    two = site.store.get(Key("default", "count", "two"))
    assert two is not None
    assert two.payload == b"\x10"
    assert wrong.status == 422
    assert "numbr isn&#39;t a field of the schema" in wrong.text


@pytest.mark.parametrize("text", [None, '{"colour": "blue"}'], ids=["as it is", "edited"])
def test_a_protobuf_message_in_json_is_sent_again_as_a_job_that_its_task_takes(
    site: Site, text: str | None
) -> None:
    """A job has no attribute that names the encoding."""
    message = Message(
        "1", 0.0, "projects/p/topics/paints", "", {"googclient_schemaencoding": "JSON"},
        b'{"colour": "red"}',
    )  # fmt: skip
    late: Any = {"history": LateHistory(0, message=message), "clock": ManualClock()}
    url = f"/tasks/paint/send?{urlencode({'from': 'message:1'})}"

    page = site.get(url, **late)
    typed = {} if text is None else {"mode": "text", "text": text}
    done = site.post(url, {**submitted(page.text), **typed, "do": "send", "id": "one"}, **late)

    assert done.status == 303, done.text
    (row,) = site.jobs()
    assert PAINT.parse is not None
    assert dict(PAINT.parse(row.payload)) == json.loads(text or message.data)


def test_a_message_is_sent_again_without_the_attributes_that_pubsub_added(site: Site) -> None:
    added = {"googclient_schemaencoding": "BINARY", "googclient_schemaname": "numbers"}
    late: Any = {"history": LateHistory(0, tenant="north", **added), "clock": ManualClock()}
    url = f"{COUNT}?{urlencode({'from': 'message:1'})}"

    page = site.get(url, **late)
    done = site.post(url, {**submitted(page.text), "do": "publish"}, **late)

    assert done.status == 303, done.text
    (message,) = site.publisher.topics["projects/p/topics/numbers"]
    assert (message.data, message.attributes) == (b"5", {"tenant": "north"})


def test_a_job_that_a_message_became_is_sent_again_without_pubsubs_attributes(site: Site) -> None:
    attributes = {"tenant": "north", "googclient_schemaname": "numbers", "ucam_faas_replays": "1"}
    row = Row(
        key=Key("default", "count", "17"), payload=b"5", owner="x", visit=60.0,
        attributes=attributes,
    )  # fmt: skip
    site.store.insert([row], wait=[60.0])
    url = f"{COUNT}?{urlencode({'from': 'job:17'})}"

    done = site.press(site.get(url), "send", url, id="again")

    assert done.status == 303, done.text
    again = site.store.get(Key("default", "count", "again"))
    assert again is not None
    assert (again.payload, again.attributes) == (b"5", {"tenant": "north"})


REMIND = "/tasks/remind/send"


def test_a_job_follows_the_rules_that_its_task_declares(site: Site) -> None:
    page = site.get(REMIND)
    first = site.press(page, "send", REMIND, **TYPED)
    site.clock.advance(1)
    same = site.press(page, "send", REMIND, **{**TYPED, "f/id": "18"})
    other = site.press(page, "send", REMIND, **{**TYPED, "f/address/street": "Marktplatz 2"})

    (row,) = site.jobs()
    assert "the task's unique=, limit=, max_pending=" in page.text
    assert (row.unique, row.limit_key) == ("Rheinweg 1", "Basel")
    assert (first.status, same.headers["location"]) == (303, f"/jobs/remind/{row.key.id}")
    assert "Nothing%20was%20sent" in same.headers["set-cookie"]
    assert "It%20is%20pending." in same.headers["set-cookie"]
    assert other.status == 422
    assert "as many as its max_pending allows" in other.text


def test_without_the_tasks_code_no_job_can_be_sent_and_the_page_says_so(site: Site) -> None:
    page = site.get(REMIND, parser=None)

    refused = site.post(REMIND, {**submitted(page.text), **TYPED, "do": "send"}, parser=None)

    assert "Jobs can't be sent from here" in page.text
    assert "(unique=, limit=, max_pending=)" in page.text
    assert 'value="send"' not in page.text
    assert refused.status == 422
    assert site.jobs() == []


def test_a_check_sends_nothing(site: Site) -> None:
    answer = site.press(site.get(SEND), "check", SEND, **TYPED)

    assert "The task accepts it." in answer.text
    assert site.jobs() == []


def test_the_form_and_its_json_are_two_views_of_one_payload(site: Site) -> None:
    as_json = site.press(site.get(SEND), "mode text", SEND, **TYPED)
    text = submitted(as_json.text)["text"]
    again = site.press(as_json, "mode form", SEND, text=text.replace("17", "18"))

    assert json.loads(text) == ORDER
    assert submitted(again.text)["f/id"] == "18"
    broken = site.press(as_json, "mode form", SEND, text="{")
    assert "isn&#39;t JSON" in broken.text
    assert submitted(broken.text)["text"] == "{"


def test_a_job_is_sent_again_with_edits(site: Site) -> None:
    first = site.press(site.get(SEND), "send", SEND, **TYPED, lane="bulk", id="one")
    url = f"{SEND}?{urlencode({'from': 'job:one'})}"

    done = site.press(site.get(url), "send", url, **{"f/address/street": "Marktplatz 2"})

    assert first.status == 303
    new = next(row for row in site.jobs() if row.key.id != "one")
    assert json.loads(new.payload) == {"id": 17, "address": {"street": "Marktplatz 2"}}
    assert done.headers["location"] == f"/jobs/charge/{new.key.id}"
    assert new.lane == "bulk"


@pytest.mark.parametrize(
    "data",
    [b"\x00\xff", b' {"a" : 1}\r\n', b"x" * 300_000, "\u00e9\r\nb".encode()],
    ids=["binary", "json", "large", "text"],
)
def test_a_payload_that_was_not_edited_is_sent_byte_by_byte(site: Site, data: bytes) -> None:
    key = Key("default", "store_file", "one")
    site.store.insert([Row(key=key, payload=data, owner="o", visit=60)], wait=[0.0])
    url = "/tasks/store_file/send?from=job:one"

    done = site.press(site.get(url), "publish", url)

    assert done.status == 303, done.text
    (message,) = site.publisher.topics["projects/p/topics/files"]
    assert message.data == data


def test_a_payload_is_hidden_until_a_person_asks_for_it(site: Site) -> None:
    site.press(site.get(SEND), "send", SEND, **TYPED, id="one")
    url, asked = f"{SEND}?from=job:one", []

    def log(*entry: str) -> None:
        asked.append(entry)

    page = site.get(url, hides_payloads=True)
    shown = site.post(url, {**submitted(page.text), "do": "reveal"}, hides_payloads=True, log=log)

    checked = site.post(url, {**submitted(page.text), "do": "check"}, hides_payloads=True)
    assert "Rheinweg" not in page.text + checked.text
    assert submitted(shown.text)["f/address/street"] == "Rheinweg 1"
    assert asked == [("", "revealed", "job one")]


def test_a_payload_of_any_json_is_a_text(site: Site) -> None:
    schema = {"format": "json", "schema": {"type": "object", "additionalProperties": True}}
    notify = KnownTask(needs_of(store_file.task, Settings()), schema)

    page = site.get("/tasks/store_file/send", tasks=lambda: [notify])

    assert "text" in submitted(page.text)
    assert ">Form<" not in page.text


def test_a_task_without_a_payload_is_sent_nothing(site: Site) -> None:
    page = site.get("/tasks/tidy/send")

    assert "needs no payload" in page.text
    assert "mode" not in submitted(page.text)


def test_a_sample_fills_the_form(site: Site) -> None:
    assert submitted(site.get(f"{SEND}?sample=1").text)["f/id"] == "1"


def test_read_only_pages_check_a_payload_and_neither_send_it_nor_offer_that(site: Site) -> None:
    page = site.get(SEND, read_only=True)
    form = {**submitted(page.text), **TYPED}
    checked = site.post(SEND, {**form, "do": "check"}, read_only=True)

    assert ">Check a payload<" in site.get("/tasks/charge", read_only=True).text
    assert "The task accepts it." in checked.text
    assert not any(f'value="{each}"' in page.text + checked.text for each in ("send", "publish"))
    assert site.post(SEND, {**form, "do": "send"}, read_only=True).status == 403
    assert site.post(SEND, {**form, "do": "publish"}, read_only=True).status == 403
    assert site.jobs() == []
    assert site.publisher.topics["projects/p/topics/orders"] == []


def test_a_task_shows_what_starts_it_and_its_rules(site: Site) -> None:
    text = site.get("/tasks/charge").text

    for part in ("topic orders", "Order", "Charge a customer.", "charge-dead-letter", "bulk"):
        assert part in text
    assert "0 3 * * *" in site.get("/tasks").text
    assert "HTTP /hello" in site.get("/tasks").text
    assert site.get("/tasks/nothing").status == 404


def test_a_lane_is_paused_and_resumed_and_its_jobs_counted(site: Site) -> None:
    site.press(site.get(SEND), "send", SEND, **TYPED, lane="bulk")

    paused = site.post("/lanes/charge/bulk/pause", {"back": "/tasks/charge"})
    page = site.get("/lanes").text
    resumed = site.post("/lanes/charge/bulk/resume", {"back": "//evil.example"})

    assert paused.headers["location"] == "/tasks/charge"
    assert page.count('action="/lanes/charge/bulk/resume"') == 1
    assert resumed.headers["location"] == "/lanes"
    assert "1%20job%20woken" in resumed.headers["set-cookie"]
    assert site.store.paused_lanes("default") == frozenset()
    assert site.post("/lanes/charge/bulk/delete", {}).status == 409


def test_a_lane_whose_pause_would_not_hold_has_no_button(site: Site) -> None:
    assert 'action="/lanes/store_file/default/pause"' not in site.get("/lanes").text
    assert 'action="/lanes/charge/default/pause"' in site.get("/lanes").text
