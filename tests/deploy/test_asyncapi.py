"""The AsyncAPI document is valid by the official schema and agrees with the code."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import TypeAdapter, ValidationError

from ucam_faas import message_handler
from ucam_faas.deploy import asyncapi_messages

from .conftest import Project
from .payload_models import models, payloads, type_of

ROOT = Path(__file__).parent.parent.parent
NPM = Path(__file__).parent / "asyncapi_schema"
SPECS = NPM / "node_modules" / "@asyncapi" / "specs"

Document = dict[str, Any]

TASKS = '''
from typing import Literal
from pydantic import BaseModel, Field
import ucam_faas
from ucam_faas import RetryPolicy, Schedule


class Line(BaseModel):
    sku: str


class Card(BaseModel):
    kind: Literal["card"]


class Cash(BaseModel):
    kind: Literal["cash"]


class Order(BaseModel):
    """The goods that were bought."""
    paid: Card | Cash = Field(Cash(kind="cash"), discriminator="kind")
    number: int = 7
    pair: tuple[int, str]
    first: Line = Field(description="The first one.")
    lines: list[Line] = []
    again: "Order | None" = None


@ucam_faas.message_handler(
    message_type=Order,
    topic="orders",
    filter='attributes.kind = "new" AND NOT attributes:"test run"',
    schedule=Schedule(
        "0 3 * * *",
        time_zone="Europe/London",
        data=b'{"pair": [1, "a"], "first": {"sku": "secret"}}',
        attributes={"kind": "new", "from": "schedule"},
        paused=True,
    ),
    ordered=True,
)
def count_orders(order):
    """Count orders.

    Each is counted **once**.
    """


@ucam_faas.message_handler(message_type=Order, topic="projects/other/topics/orders")
def copy_orders(order):
    "Copy orders."


@ucam_faas.message_handler(message_type=list[int], retry=RetryPolicy(max_attempts=None))
def add_up(numbers):
    "Add numbers up."


@ucam_faas.raw_event(topic="tea~and%20+more")
def brew(body): ...


@ucam_faas.raw_event(run_as="cloud-run-job", schedule=Schedule("0 3 * * *"))
def export(body): ...


@ucam_faas.http(path="/prices")
def prices(request): ...
'''
SETTINGS = """
source = "shop_tasks.py"
[stage.production]
project = "my-project"
[task.add_up]
publishes_to = ["sums", "orders"]
"""


def unavailable(reason: str) -> NoReturn:
    """Skip on a laptop; fail in CI, where the schema must be installed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def official() -> Any:
    """A validator of AsyncAPI's own schema, from its npm package (git-ignored)."""
    npm = shutil.which("npm")
    if npm is None:
        unavailable("npm is not on PATH: it installs AsyncAPI's schema")
    lock = (NPM / "package-lock.json").read_text()
    installed = NPM / "node_modules" / ".installed"
    with (NPM / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another process of the tests may install it
        if not installed.exists() or installed.read_text() != lock:
            command = [npm, "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=NPM, capture_output=True, text=True, timeout=300)
            if done.returncode:
                unavailable(f"npm cannot install: {done.stderr}")
            installed.write_text(lock)
    return jsonschema.Draft7Validator(json.loads((SPECS / "schemas" / "3.0.0.json").read_text()))


@pytest.fixture
def shop(project: Project) -> Project:
    project.write("shop_tasks.py", TASKS)
    project.write("ucam-faas.toml", SETTINGS)
    return project


def document(project: Project, *arguments: str) -> Document:
    result = project.run("asyncapi", *arguments)
    assert result.exit_code == 0, result.output
    document: Document = json.loads(result.stdout)
    return document


# --- valid


@pytest.mark.slow
def test_the_document_of_the_example_tasks_is_valid(
    project: Project, official: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = document(project, str(ROOT / "example_tasks"))

    official.validate(described)
    assert {"send_welcome_email", "total_order", "import_prices"} < described["operations"].keys()
    assert "get_user" not in described["operations"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [(), ("--stage", "production")])
def test_the_document_of_all_kinds_of_tasks_is_valid(
    shop: Project, official: Any, stage: tuple[str, ...]
) -> None:
    official.validate(document(shop, *stage))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "name"), [("channels", "orders"), ("messages", "Order"), ("schemas", "Order.Line")]
)
def test_the_official_schema_looks_at_bindings_and_schemas(
    shop: Project, official: Any, part: str, name: str
) -> None:
    """Proves that the other tests would fail if a binding or a schema were invalid."""
    described = document(shop)
    broken = described.get(part, described["components"].get(part))[name]
    if part == "schemas":
        broken["type"] = "strange"
    else:
        broken["bindings"]["googlepubsub"]["strange"] = True

    assert not official.is_valid(described)


def test_every_reference_leads_somewhere(shop: Project) -> None:
    described = document(shop)

    for reference in references(described):
        place: Any = described
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references(part)


def test_an_operations_messages_are_those_of_its_channel(shop: Project) -> None:
    for operation in document(shop)["operations"].values():
        channel = operation["channel"]["$ref"]

        for message in operation.get("messages", []):
            assert message["$ref"].startswith(f"{channel}/messages/")


# --- what it says


def test_each_task_receives_from_its_topic(shop: Project) -> None:
    described = document(shop)

    received = {
        name: described["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]
        for name, operation in described["operations"].items()
        if operation["action"] == "receive"
    }
    assert received == {
        "add_up": "projects/{project}/topics/add_up",
        "brew": "projects/{project}/topics/tea~and%20+more",
        "copy_orders": "projects/other/topics/orders",
        "count_orders": "projects/{project}/topics/orders",
    }


def test_a_channel_names_the_schema_of_its_topic(shop: Project) -> None:
    shop.write("count.avsc", '"string"')
    schema = 'topic_schema = { definition = "count.avsc", encoding = "JSON" }'
    shop.write("ucam-faas.toml", f"{SETTINGS.strip()}\n{schema}\n")

    channels = document(shop, "--stage", "production")["channels"]

    settings = {
        name: channel["bindings"]["googlepubsub"]["schemaSettings"]
        for name, channel in channels.items()
    }
    name = "projects/my-project/schemas/add_up"
    assert settings.pop("add_up") == {"encoding": "JSON", "name": name}
    assert {each["name"] for each in settings.values()} == {""}


def test_the_project_is_that_of_the_stage(shop: Project) -> None:
    channels = document(shop, "--stage", "production")["channels"]

    assert channels["add_up"]["address"] == "projects/my-project/topics/add_up"
    assert "parameters" not in channels["add_up"]


def test_an_operation_describes_its_schedule_and_its_failures(shop: Project) -> None:
    operation = document(shop)["operations"]["count_orders"]

    assert operation["summary"] == "Count orders."
    assert operation["description"].split("\n\n") == [
        "Each is counted **once**.",
        'Only messages whose attributes match `attributes.kind = "new" AND NOT '
        'attributes:"test run"`.',
        "Messages with one ordering key are handled one after the other.",
        "Cloud Scheduler sends one at `0 3 * * *` (Europe/London, paused).",
        "Delivered up to 8 times, 10 to 600 seconds apart; then it goes to "
        "`count_orders-dead-letter`.",
    ]
    assert operation["x-ucam-faas"]["schedules"][0]["attributes"] == {
        "kind": "new",
        "from": "schedule",
    }


def test_a_message_that_is_never_given_up_has_no_dead_letters(shop: Project) -> None:
    operations = document(shop)["operations"]

    assert "until it is handled or expires" in operations["add_up"]["description"]
    assert "add_up.dead-letter" not in operations
    dead = operations["count_orders.dead-letter"]
    assert dead["action"] == "send"
    assert dead["channel"] == {"$ref": "#/channels/count_orders-dead-letter"}


@pytest.mark.slow
def test_the_topic_of_another_owners_subscription_is_not_known(
    project: Project, official: Any
) -> None:
    code = 'import ucam_faas\n@ucam_faas.raw_event(subscription="for-us")\ndef take(event): ...\n'
    project.write("main.py", code)

    described = document(project)

    official.validate(described)
    take = described["operations"]["take"]
    assert take["channel"] == {"$ref": "#/channels/for-us"}
    assert described["channels"]["for-us"]["address"] is None
    assert take["x-ucam-faas"] == {"subscription": "for-us"}
    assert "the owner of its subscription" in take["description"]


def test_the_document_lists_the_topics_that_a_task_publishes_to(shop: Project) -> None:
    operations = document(shop)["operations"]

    published = {name for name in operations if name.startswith("add_up.publish.")}
    assert published == {"add_up.publish.sums", "add_up.publish.orders"}


def test_attributes_of_filters_and_schedules_are_in_the_message(shop: Project) -> None:
    message = document(shop)["components"]["messages"]["count_orders.Order"]

    names = {"from", "kind", "test run"}
    assert message["headers"]["properties"].keys() == names
    assert message["bindings"]["googlepubsub"]["attributes"].keys() == names


def test_no_data_of_a_schedule_are_in_it(shop: Project) -> None:
    text = json.dumps(document(shop))

    assert "secret" not in text
    assert "c2VjcmV0" not in text


def test_json_is_described_in_the_words_of_draft_7(shop: Project) -> None:
    schemas = document(shop)["components"]["schemas"]

    assert schemas["Order"]["properties"]["pair"] == {
        "items": [{"type": "integer"}, {"type": "string"}],
        "maxItems": 2,
        "minItems": 2,
        "title": "Pair",
        "type": "array",
    }
    assert schemas["Order"]["properties"]["number"]["default"] == 7
    assert schemas["Order"]["properties"]["first"] == {
        "allOf": [{"$ref": "#/components/schemas/Order.Line"}],
        "description": "The first one.",
    }
    assert "discriminator" not in schemas["Order"]["properties"]["paid"]


@pytest.mark.slow
def test_protobuf_is_described_by_its_proto_file(project: Project) -> None:
    messages = document(project, str(ROOT / "example_tasks"))["components"]["messages"]
    message = messages["total_order.Order"]

    assert message["contentType"] == "application/protobuf"
    assert message["payload"]["schemaFormat"] == "application/vnd.google.protobuf;version=3"
    assert "  repeated Line lines = 2;\n" in message["payload"]["schema"]


def test_bytes_have_no_schema(shop: Project) -> None:
    message = document(shop)["components"]["messages"]["brew"]

    assert message["contentType"] == "application/octet-stream"
    assert "payload" not in message


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_payload_that_a_model_accepts_is_valid_by_its_draft_7_schema(data: st.DataObject) -> None:
    shape = data.draw(models)
    kind, payload = type_of(shape), data.draw(payloads(shape))
    _, schemas = asyncapi_messages.describe(task_of(kind), "Made")

    if takes(kind, payload):
        schema = {"$ref": "#/components/schemas/Made", "components": {"schemas": schemas}}
        jsonschema.Draft7Validator(schema).validate(payload)


def takes(kind: Any, payload: Any) -> bool:
    try:
        # Strictly: "12" would be an int otherwise.
        TypeAdapter(kind).validate_json(json.dumps(payload), strict=True)
    except ValidationError:
        return False
    return True


def task_of(message_type: Any) -> Any:
    @message_handler(message_type=message_type)
    def work(payload: Any) -> None: ...

    return work.task


# --- the verb


def test_title_and_version_are_those_of_the_project(shop: Project) -> None:
    shop.write(
        "pyproject.toml", '[project]\nname = "shop"\nversion = "1.2"\ndescription = "Sells."'
    )

    assert document(shop)["info"] == {"title": "shop", "version": "1.2", "description": "Sells."}


def test_without_a_project_the_folder_is_the_title(shop: Project) -> None:
    assert document(shop)["info"] == {"title": shop.root.name, "version": "0.0.0"}


@pytest.mark.slow
def test_a_file_is_written_and_found_out_of_date(shop: Project) -> None:
    command = ("asyncapi", "--output", "asyncapi.json")

    missing = shop.run(*command, "--check")
    written = shop.run(*command)
    fresh = shop.run(*command, "--check")
    shop.write("ucam-faas.toml", SETTINGS.replace("sums", "totals"))
    stale = shop.run(*command, "--check")

    assert (missing.exit_code, written.exit_code, fresh.exit_code, stale.exit_code) == (1, 0, 0, 1)
    assert "asyncapi.json does not exist" in missing.stderr
    assert "asyncapi.json is up to date" in fresh.stdout
    assert "asyncapi.json is out of date" in stale.stderr
    assert "totals" not in (shop.root / "asyncapi.json").read_text()


def test_check_needs_a_file(shop: Project) -> None:
    result = shop.run("asyncapi", "--check")

    assert result.exit_code == 2
    assert "--check needs --output" in result.output


@pytest.mark.parametrize("text", ["[project", "project = 3", '[project]\nname = 3\nversion = "1"'])
def test_a_project_that_cannot_be_read_is_one_line(shop: Project, text: str) -> None:
    shop.write("other/pyproject.toml", text)
    (shop.root / "other/pyproject.toml").rename(shop.root / "pyproject.toml")

    assert "pyproject.toml" in shop.error("asyncapi")


@pytest.mark.slow
def test_the_document_is_the_same_in_each_process(shop: Project) -> None:
    command = [sys.executable, "-m", "ucam_faas", "asyncapi", "shop_tasks.py"]

    texts = [
        subprocess.run(
            command,
            cwd=shop.root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert texts[0] == texts[1]
