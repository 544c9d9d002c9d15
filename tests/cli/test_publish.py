"""`ucam-faas publish`: what a task would take is sent, and says where it went; the rest is not."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from google.protobuf.source_context_pb2 import SourceContext

from tests.support.local_cloud import RunCloud
from tests.support.sources import Sources
from ucam_faas.cli import _local_cloud, _waiting, main
from ucam_faas.local_state import LocalCloud, forget
from ucam_faas.net import google_rest
from ucam_faas.net.rest import Rest

TASKS = """
import json
import pydantic
from google.protobuf.source_context_pb2 import SourceContext

class User(pydantic.BaseModel):
    name: str = pydantic.Field(examples=["Ada"])
    age: int

@ucam_faas.message_handler(message_type=User)
def welcome(user): ...

@ucam_faas.message_handler(message_type=User, topic="projects/other/topics/users")
def greet(user): ...

@ucam_faas.message_handler(message_type=None, filter='attributes.kind = "order"')
def keep(data): ...

@ucam_faas.message_handler(message_type=json.loads)
def any_json(found): ...

class Picky(pydantic.BaseModel):
    code: str = pydantic.Field(pattern="^[aeiou]")

    @pydantic.field_validator("code")
    def _(cls, code):
        raise ValueError("no vowels")

@ucam_faas.message_handler(message_type=Picky)
def picky(found): ...

@ucam_faas.message_handler(message_type=SourceContext)
def described(found): ...

@ucam_faas.raw_event
def raw(body): ...

@ucam_faas.message_handler
def tidy(): ...

@ucam_faas.http(path="/page")
def page(request): ...
"""
ORDERS = """
import proto

class Order(proto.Message):
    number = proto.Field(proto.STRING, number=1)

@ucam_faas.message_handler(message_type=Order)
def ordered(found): ...
"""
"""Apart: protobuf takes a message of one name once in a process."""
ADA = '{"name": "Ada", "age": 36}'


@dataclass
class Sink:
    """The far side: keeps what is published, and answers what the test says."""

    host: str = ""
    status: int = 200
    answer: bytes = json.dumps({"messageIds": ["17"]}).encode()
    requests: list[tuple[str, Any]] = field(default_factory=list)
    histories: list[dict[str, Any] | None] = field(default_factory=lambda: [None])
    """The news of the message, one after the other; None: it doesn't tell any."""
    asked: list[str] = field(default_factory=list)
    """The queries for them."""

    @property
    def topic(self) -> str:
        """The topic of the one message."""
        ((path, _),) = self.requests
        assert path.startswith("/v1/projects/")
        assert path.endswith(":publish")
        return path.removeprefix("/v1/").removesuffix(":publish")

    @property
    def message(self) -> dict[str, Any]:
        """The one message, with its data as bytes."""
        ((_, body),) = self.requests
        (message,) = body["messages"]
        return {**message, "data": base64.b64decode(message["data"])}


@contextmanager
def listening(sink: Sink) -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.requests.append((self.path, json.loads(body)))
            self.send_response(sink.status)
            self.send_header("Content-Length", str(len(sink.answer)))
            self.end_headers()
            self.wfile.write(sink.answer)

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == "/ucam-faas/folder":
                sink.histories = [{"folder": "/home/ada/app"}]
                path = "/ucam-faas/history"
            assert path == "/ucam-faas/history"
            sink.asked.append(query)
            history = sink.histories.pop(0) if len(sink.histories) > 1 else sink.histories[0]
            answer = json.dumps(history).encode()
            self.send_response(404 if history is None else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sink.host = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening(Sink()) as server:
        yield server


Publish = Callable[..., Result]


@pytest.fixture
def publish(sink: Sink, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Call the verb in a folder with tasks, with a local cloud in the environment."""
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", sink.host)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.chdir(sources.root)
    sources.write("main.py", before=TASKS)

    def run(*arguments: str, input: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["publish", *arguments], input=input)

    return run


def error_of(result: Result) -> str:
    """Return the one line of an error."""
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("ucam-faas: ")
    assert result.stdout == ""
    return lines[0]


def usage_error_of(result: Result) -> str:
    """Return the last line of an error of usage."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr.splitlines()[-1]


# --- what is sent


def test_a_message_goes_to_the_tasks_topic_and_its_id_is_shown(
    publish: Publish, sink: Sink
) -> None:
    result = publish("welcome", ADA)

    assert result.exit_code == 0, result.output
    assert result.stdout == (f"Published message 17 to projects/p/topics/welcome ({sink.host}).\n")
    assert sink.topic == "projects/p/topics/welcome"
    assert sink.message == {"data": ADA.encode(), "attributes": {}, "orderingKey": ""}


def test_a_published_message_is_a_document(publish: Publish, sink: Sink) -> None:
    result = publish("welcome", ADA, "--attribute", "a=b", "--json")

    assert json.loads(result.stdout) == {
        "task": "welcome",
        "message_id": "17",
        "bytes": len(ADA),
        "attributes": {"a": "b"},
        "ordering_key": "",
        "topic": "projects/p/topics/welcome",
        "pubsub": sink.host,
    }


def test_a_dry_run_is_a_document_with_the_data(publish: Publish, sink: Sink) -> None:
    document = json.loads(publish("welcome", "--sample", "--dry-run", "--json").stdout)

    assert (document["message_id"], document["problem"]) == (None, None)
    assert json.loads(document["payload"]).keys() == json.loads(ADA).keys()
    assert sink.requests == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["welcome", "{}"], "payload-rejected"),
        (["other", ADA], "target-unknown"),
        (["welcome"], "configuration"),
        (["welcome", ADA, "--wait"], "configuration"),
        (["welcome", ADA, "--wait", "--google"], "usage"),
    ],
    ids=str,
)
def test_an_error_of_publishing_has_a_code(
    publish: Publish, sink: Sink, arguments: list[str], code: str
) -> None:
    result = publish(*arguments, "--json")

    assert (result.stdout, result.exit_code) == ("", 2)
    assert json.loads(result.stderr)["error"]["code"] == code


def test_a_pubsub_that_is_gone_has_a_code(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(Sink()) as gone:
        pass
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", gone.host)

    result = publish("welcome", ADA, "--json")

    assert json.loads(result.stderr)["error"]["code"] == "pubsub"


def test_a_topic_with_a_project_is_taken_as_it_is(publish: Publish, sink: Sink) -> None:
    publish("greet", ADA)

    assert sink.topic == "projects/other/topics/users"


def test_attributes_and_an_ordering_key_are_sent(publish: Publish, sink: Sink) -> None:
    publish(
        *("keep", "x", "--attribute", "kind=order", "--attribute", "formula=a=b"),
        *("--attribute", "empty=", "--ordering-key", "customer-7"),
    )

    assert sink.message["attributes"] == {"kind": "order", "formula": "a=b", "empty": ""}
    assert sink.message["orderingKey"] == "customer-7"


def test_a_message_may_have_attributes_only(publish: Publish, sink: Sink) -> None:
    publish("keep", "--attribute", "kind=order")

    assert (sink.message["data"], sink.message["attributes"]) == (b"", {"kind": "order"})


@pytest.mark.parametrize("data", [ADA.encode(), b'{"name": "Ad\\u00e9", "age": 1}\n'])
def test_a_file_is_sent_as_it_is(
    data: bytes, publish: Publish, sink: Sink, sources: Sources
) -> None:
    (sources.root / "user.json").write_bytes(data)

    publish("welcome", "--file", "user.json")

    assert sink.message["data"] == data


def test_a_dash_is_standard_input(publish: Publish, sink: Sink) -> None:
    data = bytes(range(256))

    publish("keep", "--file", "-", input=data)

    assert sink.message["data"] == data


@pytest.mark.parametrize("arguments", [[], ["--sample"]])
def test_a_task_without_a_parameter_needs_no_data(
    publish: Publish, sink: Sink, arguments: list[str]
) -> None:
    result = publish("tidy", *arguments)

    assert result.exit_code == 0, result.output
    assert sink.message["data"] == b""
    assert sink.message["attributes"] == {"ucam_faas_trigger": "publish"}


def test_a_sample_is_shown_and_sent(publish: Publish, sink: Sink) -> None:
    result = publish("welcome", "--sample")

    shown, published = result.stdout.splitlines()
    assert published.startswith("Published message 17")
    assert shown == f"Data: '{sink.message['data'].decode()}'"
    assert json.loads(sink.message["data"]) == {"name": "Ada", "age": 1}


def test_a_sample_may_have_attributes(publish: Publish, sink: Sink) -> None:
    publish("keep", "--sample", "--attribute", "kind=order")

    assert (sink.message["data"], sink.message["attributes"]) == (b"hello", {"kind": "order"})


def test_data_of_a_raw_task_is_not_checked(publish: Publish, sink: Sink) -> None:
    publish("raw", "anything")

    assert sink.message["data"] == b"anything"


def test_bytes_on_the_command_line_are_sent_as_they_are(publish: Publish, sink: Sink) -> None:
    publish("keep", "\udcff\u00e9")  # how Python reads an argument that isn't UTF-8

    assert sink.message["data"] == b"\xff\xc3\xa9"


@pytest.mark.parametrize("arguments", [(), ("--file", "-")])
def test_a_protobuf_message_may_be_given_as_json(
    arguments: tuple[str, ...], publish: Publish, sink: Sink
) -> None:
    text = '{"fileName": "orders.proto"}'

    publish("described", *(arguments or (text,)), input=text.encode())

    expected = SourceContext(file_name="orders.proto")
    assert SourceContext.FromString(sink.message["data"]) == expected


def test_a_proto_plus_message_may_be_given_as_json(
    publish: Publish, sink: Sink, sources: Sources
) -> None:
    source = sources.write("orders.py", before=ORDERS)

    publish("ordered", '{"number": "7"}', "--source", source)

    assert sink.message["data"] == b"\x0a\x017"


@pytest.mark.parametrize("name", ["orders.proto", "x" * ord("{"), "{".ljust(ord("\n"))])
def test_a_protobuf_message_in_its_binary_form_is_sent_as_it_is(
    name: str, publish: Publish, sink: Sink
) -> None:
    """Its first bytes may look like white space and a brace."""
    data = SourceContext(file_name=name).SerializeToString()

    publish("described", "--file", "-", input=data)

    assert sink.message["data"] == data


def test_a_sample_of_a_protobuf_message_is_shown_as_json(publish: Publish, sink: Sink) -> None:
    result = publish("described", "--sample")

    assert result.stdout.startswith("""Data: '{"fileName": "text"}'\n""")
    assert SourceContext.FromString(sink.message["data"]).file_name == "text"


@pytest.mark.parametrize("data", ['{"fileName": "text"}', "--sample"])
def test_a_protobuf_message_is_json_where_the_schema_of_its_topic_says_so(
    data: str, publish: Publish, sink: Sink, sources: Sources
) -> None:
    (sources.root / "ucam-faas.toml").write_text(
        '[task.described]\ntopic_schema = { definition = "o.proto", encoding = "JSON" }\n'
    )
    text = 'syntax = "proto3"; message O { string file_name = 1; }'
    (sources.root / "o.proto").write_text(text)

    result = publish("described", data)

    assert result.exit_code == 0, result.output
    assert json.loads(sink.message["data"]) == {"fileName": "text"}
    if data == "--sample":
        assert result.stdout.startswith("""Data: '{"fileName": "text"}'\n""")


def test_a_dry_run_checks_and_shows_the_message_and_sends_nothing(
    publish: Publish, sink: Sink
) -> None:
    result = publish("welcome", ADA, "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"Data: '{ADA}'",
        f"Nothing was published to projects/p/topics/welcome ({sink.host}): this is a dry run.",
    ]
    assert "age" in error_of(publish("welcome", '{"name": "Ada"}', "--dry-run"))
    assert sink.requests == []


def test_a_dry_run_needs_no_pubsub(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")

    result = publish("welcome", "--sample", "--dry-run")

    assert result.exit_code == 0
    assert "Nothing was published to welcome: this is a dry run. There is no local" in result.stdout


# --- waiting


FAILED = {"event": "failed", "attempt": 1, "status": 500, "retry_seconds": 0.1}
GIVEN_UP = {"event": "failed", "attempt": 5, "status": "no answer", "retry_seconds": None}
ACKNOWLEDGED = {"event": "acknowledged", "attempt": 2}
DEAD = {"event": "dead_lettered", "attempt": None, "topic": "dead", "message_id": "18"}


def news(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(steps), "down": None}


def test_waiting_tells_each_attempt_until_one_is_acknowledged(publish: Publish, sink: Sink) -> None:
    sink.histories = [news(), news(FAILED), news(), news(ACKNOWLEDGED)]

    result = publish("welcome", ADA, "--wait")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "Attempt 1 failed (HTTP status 500); the next one is in 0.1 s, or when you press Enter in "
        "dev.",
        "Handled by welcome, attempt 2.",
    ]
    asked = "task=welcome&message=17&after="
    assert sink.asked[1:] == [f"{asked}0", f"{asked}1", f"{asked}1"]


def test_waiting_for_a_task_whose_start_up_failed_says_so_at_once(
    publish: Publish, sink: Sink
) -> None:
    down = {"steps": [], "down": "make_client failed: OSError: no route"}
    sink.histories = [news(), down, down, news(ACKNOWLEDGED)]

    result = publish("welcome", ADA, "--wait")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "welcome can't run: make_client failed: OSError: no route",
        "The message waits until you save a fix. Still waiting.",
    ]


def test_waiting_without_news_says_once_where_to_look(
    publish: Publish, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_waiting, "PATIENCE_SECONDS", 0.0)
    sink.histories = [news(), news(), news(), news(ACKNOWLEDGED)]

    result = publish("welcome", ADA, "--wait")

    assert result.exit_code == 0
    (note,) = result.stderr.splitlines()
    assert "the task still runs" in note


def test_waiting_for_a_message_that_is_dead_lettered_ends_with_1(
    publish: Publish, sink: Sink
) -> None:
    sink.histories = [news(), news(GIVEN_UP, DEAD)]

    result = publish("welcome", ADA, "--wait")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        "Attempt 5 failed (no answer).",
        "Given up by welcome: it is a dead letter now, message 18 of dead.",
    ]


def test_waiting_ends_when_dev_does(publish: Publish, sink: Sink) -> None:
    sink.histories = [news(), news(), None]

    result = publish("welcome", ADA, "--wait")

    assert result.exit_code == 2
    assert "`ucam-faas dev` has ended before the message was handled" in result.stderr


def test_nothing_is_sent_to_wait_for_where_the_pubsub_tells_no_outcome(
    publish: Publish, sink: Sink
) -> None:
    sink.histories = [None]

    line = error_of(publish("welcome", ADA, "--wait"))

    assert f"{sink.host} doesn't tell how a message went" in line
    assert sink.requests == []


def test_waiting_for_what_the_filter_stops_is_refused(publish: Publish, sink: Sink) -> None:
    line = error_of(publish("keep", "x", "--wait"))

    assert 'attributes.kind = "order"' in line
    assert sink.requests == []


# --- another topic


def test_data_for_a_topic_alone_is_not_checked_and_needs_no_source(
    publish: Publish, sink: Sink, sources: Sources
) -> None:
    (sources.root / "main.py").unlink()

    result = publish("--topic", "orders", "no user")

    assert result.exit_code == 0, result.output
    assert (sink.topic, sink.message["data"]) == ("projects/p/topics/orders", b"no user")


def test_a_topic_alone_takes_a_file(publish: Publish, sink: Sink) -> None:
    publish("--topic", "projects/q/topics/orders", "--file", "-", input=b"x")

    assert (sink.topic, sink.message["data"]) == ("projects/q/topics/orders", b"x")


def test_data_for_a_task_is_checked_for_another_topic_too(publish: Publish, sink: Sink) -> None:
    error_of(publish("welcome", "{}", "--topic", "orders"))
    assert sink.requests == []

    publish("welcome", ADA, "--topic", "orders")
    assert sink.topic == "projects/p/topics/orders"


def test_a_topics_name_is_part_of_a_path_whatever_it_holds(publish: Publish, sink: Sink) -> None:
    publish("--topic", "a+b%c~d", "x")

    assert sink.topic == "projects/p/topics/a%2Bb%25c~d"


# --- what is not sent


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ("welcome", "{}"),
            ("'welcome' takes User, and rejects it: ", "name: Field required; age: Field required"),
        ),
        (("welcome", '{"name": "Ada", "age": "old"}'), ("age: Input should be a valid integer",)),
        (("welcome", "name=Ada"), ("rejects it: Invalid JSON",)),
        (("welcome", "--attribute", "kind=order"), ("rejects it: Invalid JSON",)),
        (("any_json", "{"), ("'any_json'", "JSONDecodeError: Expecting property name")),
        (
            ("picky", "--sample"),
            (
                "'picky' takes (Picky)",
                """Tried first: '{"code": "a"}'""",
                "code: Value error, no vowels",
            ),
        ),
        (
            ("described", '{"no": 1}'),
            (
                "'described' takes SourceContext",
                'no field named "no"',
                """'{"fileName": "text"}'""",
            ),
        ),
        (("described", "name=Ada"), ("'described' takes", "It takes JSON, such as")),
        (("missing", "{}"), ("No task named 'missing'", "'welcome', 'greet', 'keep'")),
        (("welcome,keep", ADA), ("goes to one task",)),
        (("page", "{}"), ("HTTP task", "send a request to /page")),
        (("--topic", "o", "x"), ("'o' is not a topic", "3 to 255 characters")),
        (("--topic", "orders"), ("without data or an attribute",)),
        (("keep", ""), ("without data or an attribute",)),
        (("--topic", "orders", "--sample"), ("--sample makes up data for a task",)),
        (("keep", "x", "--attribute", "googclient=x"), ("'googclient'", "begin with goog")),
        (("keep", "x", "--attribute", "=x"), ("key of 1 to 256 bytes",)),
        (("keep", "x", "--attribute", "k=" + "x" * 1025), ("at most 1024",)),
        (("keep", "x", "--attribute", "k=\udcff"), ("cannot be written in UTF-8",)),
        (("keep", "x", "--ordering-key", "x" * 1025), ("ordering key", "1024 bytes")),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else " ".join(value)[:40],
)
def test_what_cannot_be_handled_is_not_sent(
    arguments: tuple[str, ...], parts: tuple[str, ...], publish: Publish, sink: Sink
) -> None:
    line = error_of(publish(*arguments))

    assert all(part in line for part in parts), line
    assert sink.requests == []


def test_a_message_over_10_megabytes_is_not_sent(publish: Publish, sink: Sink) -> None:
    full = b"x" * 10 * 1024 * 1024
    publish("raw", "--file", "-", input=full)

    line = error_of(publish("raw", "--file", "-", "--attribute", "k=v", input=full))

    assert "10485762 bytes: Pub/Sub takes at most 10485760" in line
    assert len(sink.requests) == 1


def test_without_data_a_sample_is_shown_and_nothing_is_sent(publish: Publish, sink: Sink) -> None:
    line = error_of(publish("welcome"))

    assert """'{"name": "Ada", "age": 1}'""" in line
    assert "--sample" in line
    assert sink.requests == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Missing argument 'TASK'"),
        (("--sample",), "Missing argument 'TASK'"),
        (("welcome", ADA, "--sample"), "Give only one of"),
        (("welcome", ADA, "--file", "-"), "Give only one of"),
        (("welcome", "--sample", "--file", "-"), "Give only one of"),
        (("welcome", "--file", "missing.json"), "missing.json"),
        (("welcome", ADA, "--attribute", "kind"), "'kind': expected KEY=VALUE"),
        (("welcome", '{"name":', '"Ada"}'), "unexpected extra argument"),
        (("welcome", ADA, "--wait", "--dry-run"), "--wait can't be combined with"),
        (("welcome", ADA, "--wait", "--topic", "orders"), "--wait can't be combined"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else " ".join(value)[:40],
)
def test_wrong_usage_sends_nothing(
    arguments: tuple[str, ...], part: str, publish: Publish, sink: Sink
) -> None:
    assert part in usage_error_of(publish(*arguments))
    assert sink.requests == []


def test_a_message_that_the_tasks_filter_stops_is_sent_with_a_note(
    publish: Publish, sink: Sink
) -> None:
    stopped = publish("keep", "x")
    passing = publish("keep", "x", "--attribute", "kind=order")

    assert "filter does not let this message through" in stopped.stderr
    assert 'attributes.kind = "order"' in stopped.stderr
    assert passing.stderr == ""
    assert len(sink.requests) == 2


# --- where it goes


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch, publish: Publish) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")


@pytest.mark.usefixtures("no_environment")
def test_the_local_cloud_of_this_directory_is_found(
    publish: Publish, sink: Sink, sources: Sources, run_cloud: RunCloud
) -> None:
    run_cloud(sources.root, LocalCloud(pubsub=sink.host, project="local"))

    result = publish("welcome", ADA)

    assert result.exit_code == 0, result.output
    assert sink.topic == "projects/local/topics/welcome"


def test_its_project_wins_over_the_environments_and_the_option_over_both(
    publish: Publish, sink: Sink, sources: Sources, run_cloud: RunCloud
) -> None:
    run_cloud(sources.root, LocalCloud(pubsub=sink.host, project="local"))

    publish("welcome", ADA)
    publish("welcome", ADA, "--project", "mine")

    paths = [path for path, _ in sink.requests]
    assert [path.split("/")[3] for path in paths] == ["local", "mine"]


def test_the_environments_emulator_wins_over_the_local_cloud(
    publish: Publish, sink: Sink, sources: Sources, run_cloud: RunCloud
) -> None:
    run_cloud(sources.root, LocalCloud(pubsub="127.0.0.1:1", project="local"))

    publish("welcome", ADA)

    assert sink.topic == "projects/p/topics/welcome"


@pytest.mark.usefixtures("no_environment")
def test_without_any_pubsub_the_ways_to_one_are_named(
    publish: Publish, sources: Sources, run_cloud: RunCloud
) -> None:
    run_cloud(sources.root, LocalCloud(pubsub="127.0.0.1:1", project="local"))
    forget(sources.root)

    line = error_of(publish("welcome", ADA))

    assert all(part in line for part in ("`ucam-faas dev`", "PUBSUB_EMULATOR_HOST", "--google"))


@pytest.mark.usefixtures("no_environment")
def test_a_local_cloud_that_is_gone_is_an_error_that_says_so(
    publish: Publish, sources: Sources, run_cloud: RunCloud
) -> None:
    with listening(Sink()) as gone:
        pass
    run_cloud(sources.root, LocalCloud(pubsub=gone.host, project="local"))

    line = error_of(publish("welcome", ADA))

    assert f"{gone.host} does not answer (ConnectionRefusedError)" in line
    assert "Is `ucam-faas dev` still running here" in line


def test_a_message_that_the_schema_of_the_topic_refuses_says_why(
    publish: Publish, sink: Sink
) -> None:
    info = "Could not validate …, last checked revision: revision_id=c7cfa2a8 failed with status: n"
    error = {
        "code": 400,
        "message": "Invalid data in message: Message failed schema validation.",
        "status": "INVALID_ARGUMENT",
        "details": [{"reason": "INVALID_JSON_AVRO_MESSAGE", "metadata": {"revisionInfo": info}}],
    }
    sink.status = 400
    sink.answer = json.dumps({"error": error}).encode()

    line = error_of(publish("welcome", ADA))

    assert line.endswith("Invalid data in message: Message failed schema validation: n.")


def test_a_topic_that_does_not_exist_is_an_error_that_names_it(
    publish: Publish, sink: Sink
) -> None:
    sink.status = 404
    sink.answer = b'{"error": {"code": 404, "message": "Not found.", "status": "NOT_FOUND"}}'

    line = error_of(publish("welcome", ADA))

    assert "Publishing to projects/p/topics/welcome failed: NOT_FOUND: Not found. " in line


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b'{"messageIds": []}'),
        (500, b"<html>"),
        (404, b'{"error":1}'),
    ],
)
def test_what_is_no_pubsub_is_an_error(
    status: int, answer: bytes, publish: Publish, sink: Sink
) -> None:
    sink.status, sink.answer = status, answer

    line = error_of(publish("welcome", ADA))

    assert "does not answer as Pub/Sub does" in line or f"HTTP status {status}" in line


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "127.0.0.1:port", "a b:1"])
def test_a_host_that_is_none_is_an_error(
    host: str, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)

    line = error_of(publish("welcome", ADA))

    assert host in line
    assert "`unset PUBSUB_EMULATOR_HOST`" in line


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "127.0.0.1:port"])
def test_a_host_of_another_form_is_told_the_right_one(
    host: str, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)

    assert "expected host:port" in error_of(publish("welcome", ADA))


def test_an_emulators_project_is_local_unless_another_is_named(
    publish: Publish, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under `ucam-faas dev`."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")

    publish("welcome", ADA)

    assert sink.topic == "projects/local/topics/welcome"


def test_a_short_topic_of_googles_needs_a_project(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    monkeypatch.setattr(google_rest, "GoogleRest", lambda url, *_, **__: Rest("127.0.0.1:9"))

    line = error_of(publish("welcome", ADA, "--google"))

    assert "--project" in line
    assert "GOOGLE_CLOUD_PROJECT" in line


def test_googles_pubsub_is_published_to_when_asked_for_whatever_else_there_is(
    publish: Publish,
    sink: Sink,
    sources: Sources,
    monkeypatch: pytest.MonkeyPatch,
    run_cloud: RunCloud,
) -> None:
    monkeypatch.setattr(google_rest, "GoogleRest", lambda url, *_, **__: Rest(sink.host))
    run_cloud(sources.root, LocalCloud(pubsub="127.0.0.1:9", project="local"))

    result = publish("welcome", ADA, "--google", "--attribute", "k=v", "--ordering-key", "o")

    assert (
        result.stdout == "Published message 17 to projects/p/topics/welcome (Google's Pub/Sub).\n"
    )
    assert sink.topic == "projects/p/topics/welcome"
    assert (sink.message["data"], sink.message["attributes"]) == (ADA.encode(), {"k": "v"})
    assert sink.message["orderingKey"] == "o"


@pytest.mark.parametrize(
    ("arguments", "topic"),
    [
        (["welcome"], "projects/p/topics/test-welcome"),
        (["--topic", "users"], "projects/p/topics/users"),
        (["--topic", "projects/q/topics/news"], "projects/q/topics/news"),
    ],
)
def test_a_stage_with_a_prefix_gets_messages_by_short_names_of_its_topics(
    arguments: list[str],
    topic: str,
    publish: Publish,
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(google_rest, "GoogleRest", lambda url, *_, **__: Rest(sink.host))
    monkeypatch.setenv("UCAM_FAAS_NAME_PREFIX", "test-")
    monkeypatch.setenv("UCAM_FAAS_EXISTING_TOPICS", "orders,users")

    publish(*arguments, ADA, "--google")

    assert sink.topic == topic


# --- sources


def test_below_the_folder_of_dev_its_pubsub_tasks_and_paths_are_used(
    publish: Publish,
    sink: Sink,
    sources: Sources,
    monkeypatch: pytest.MonkeyPatch,
    run_cloud: RunCloud,
) -> None:
    sources.write("app/jobs.py", "other")
    run_cloud(sources.root, LocalCloud(pubsub=sink.host, project="p-1", sources=("app/jobs.py",)))
    (sources.root / "inner" / "deep").mkdir(parents=True)
    monkeypatch.chdir(sources.root / "inner" / "deep")
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")

    listed = CliRunner().invoke(main, ["tasks", "--json"])
    monkeypatch.chdir(sources.root / "inner" / "deep")
    publish("other", "x")

    assert [task["name"] for task in json.loads(listed.stdout)] == ["other"]
    assert sink.topic == "projects/p-1/topics/other"


@pytest.mark.parametrize("arguments", [["publish", "other", "x"], ["tasks"], ["schedules"]])
def test_where_dev_runs_is_said_in_other_folders(
    arguments: list[str], sink: Sink, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources.root / ".git").mkdir()
    monkeypatch.chdir(sources.root)
    monkeypatch.setattr(_local_cloud, "DEFAULT_ADDRESS", sink.host)

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert "A `ucam-faas dev` runs in /home/ada/app: go there first." in result.stderr


def test_the_folder_that_dev_runs_in_is_not_named_in_itself(
    sink: Sink, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sources.root)
    monkeypatch.setattr(_local_cloud, "DEFAULT_ADDRESS", sink.host)
    monkeypatch.setattr(Path, "cwd", lambda: Path("/home/ada/app"))

    assert _local_cloud.elsewhere() == ""


def test_the_source_is_an_option_of_the_verb_and_of_the_command(
    publish: Publish, sink: Sink, sources: Sources
) -> None:
    sources.write("elsewhere/jobs.py", "other")

    publish("other", "x", "--source", "elsewhere/jobs.py")
    result = CliRunner().invoke(main, ["--source", "elsewhere/jobs.py", "publish", "other", "y"])

    assert result.exit_code == 0, result.output
    assert len(sink.requests) == 2


@pytest.mark.slow
def test_no_heavy_library_is_imported(publish: Publish, sink: Sink) -> None:
    code = (
        "import sys\nfrom ucam_faas.cli import main\n"
        f"main(['publish', 'welcome', '''{ADA}'''], standalone_mode=False)\n"
        "print(*sys.modules)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    loaded = set(result.stdout.split())
    assert not loaded & {"grpc", "google.pubsub_v1", "requests", "flask", "structlog"}
    assert len(sink.requests) == 1


# --- topics with a schema

AVRO = """
import fastavro, io

SCHEMA = fastavro.parse_schema({"type": "record", "name": "O", "fields": [
    {"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"]}]})

class Order(pydantic.BaseModel):
    id: str = pydantic.Field(examples=["17"])
    note: str | None = pydantic.Field(None, examples=["new"])

def read(data: bytes) -> Order:
    return Order(**fastavro.schemaless_reader(io.BytesIO(data), SCHEMA, None))

@ucam_faas.message_handler(message_type=read)
def avro_order(order): ...

@ucam_faas.message_handler
def json_order(order: Order): ...
"""
CONFIGURATION = """
[task.avro_order]
topic_schema = { definition = "o.avsc", encoding = "BINARY" }
[task.json_order]
topic_schema = { definition = "o.avsc", encoding = "JSON" }
"""
DEFINITION = {
    "type": "record",
    "name": "O",
    "fields": [{"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"]}],
}


@pytest.fixture
def publish_avro(publish: Publish, sources: Sources) -> Publish:
    sources.write("main.py", before=TASKS + AVRO)
    (sources.root / "ucam-faas.toml").write_text(CONFIGURATION)
    (sources.root / "o.avsc").write_text(json.dumps(DEFINITION))
    return publish


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ('{"id": "17", "note": "new"}', b"\x0417\x02\x06new"),
        ('{"id": "17", "note": {"string": "new"}}', b"\x0417\x02\x06new"),
        ("--sample", b"\x0417\x02\x06new"),
    ],
)
def test_json_is_sent_as_binary_avro(
    data: str, sent: bytes, publish_avro: Publish, sink: Sink
) -> None:
    result = publish_avro("avro_order", data)

    assert result.exit_code == 0, result.output
    assert sink.message["data"] == sent


def test_data_that_are_no_json_or_json_that_the_topic_may_take_stay_as_they_are(
    publish_avro: Publish, sink: Sink
) -> None:
    """Pub/Sub knows earlier revisions of the schema, too."""
    binary, text = b"\x0417\x00", b'{ "id":"17" }'

    publish_avro("avro_order", "--file", "-", input=binary)
    publish_avro("json_order", "--file", "-", input=text)

    sent = [base64.b64decode(body["messages"][0]["data"]) for _, body in sink.requests]
    assert sent == [binary, text]


def test_json_without_an_avro_form_is_not_sent(publish_avro: Publish, sink: Sink) -> None:
    line = error_of(publish_avro("avro_order", '{"note": "new"}'))

    assert "rejects it: it doesn't follow the topic's schema: id is missing." in line
    assert sink.requests == []


def test_a_dry_run_shows_avro_as_json(publish_avro: Publish) -> None:
    result = publish_avro("avro_order", '{"id": "17", "note": {"string": "x"}}', "--dry-run")

    assert """Data: '{"id": "17", "note": "x"}'""" in result.stdout
