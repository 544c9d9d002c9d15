"""Schemas: definitions, revisions, topics that check their messages, and their attributes."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, data_of, refused

schemas = Group("Schemas")

BY_NAME = ["get_schema", "delete_schema", "list_schema_revisions"]
BASIC, FULL = 1, 2
NO_PROTO = "UNIMPLEMENTED: Avro only"


def record(*fields: str, **defaults: object) -> dict[str, str]:
    """Return an Avro record of strings: `fields`, and others with defaults."""
    made: list[dict[str, object]] = [{"name": name, "type": "string"} for name in fields]
    made += [{"name": n, "type": "string", "default": value} for n, value in defaults.items()]
    text = json.dumps({"type": "record", "name": "Order", "fields": made})
    return {"type_": "AVRO", "definition": text}


def proto(*fields: str, syntax: str = "proto3") -> dict[str, str]:
    """Return the definition of a protobuf message."""
    text = f'syntax = "{syntax}"; message Order {{ {" ".join(fields)} }}'
    return {"type_": "PROTOCOL_BUFFER", "definition": text}


def create(pubsub: PubSub, schema: dict[str, str]) -> str:
    """Create a schema, and return its name."""
    name = pubsub.name("schemas")
    id = name.rpartition("/")[2]
    return str(
        pubsub.call("create_schema", parent=pubsub.project, schema=schema, schema_id=id).name
    )


def commit(pubsub: PubSub, name: str, schema: dict[str, str]) -> str:
    """Commit a revision, and return its id."""
    return str(pubsub.call("commit_schema", name=name, schema={"name": name, **schema}).revision_id)


def revisions(pubsub: PubSub, name: str) -> list[str]:
    """Return the ids of a schema's revisions."""
    return [each.revision_id for each in pubsub.call("list_schema_revisions", name=name)]


def checked(pubsub: PubSub, name: str, encoding: str = "JSON", **settings: str) -> tuple[str, str]:
    """Create a topic with a schema, and a subscription to it."""
    topic = pubsub.topic(schema_settings={"schema": name, "encoding": encoding, **settings})
    return topic, pubsub.subscription(topic)


def is_valid(pubsub: PubSub, schema: dict[str, str], data: bytes, encoding: str = "JSON") -> None:
    """Check a message against a definition."""
    fields = {"message": data, "encoding": encoding}
    pubsub.call("validate_message", parent=pubsub.project, schema=schema, **fields)


# -- definitions ---------------------------------------------------------------------------------


@schemas("A project without schemas lists none.", docs="Schemas")
def test_none(pubsub: PubSub) -> None:
    assert list(pubsub.call("list_schemas", parent=pubsub.project)) == []


@schemas("A schema that does not exist is NOT_FOUND.", docs="Error codes")
@pytest.mark.parametrize("method", BY_NAME)
def test_missing(pubsub: PubSub, method: str) -> None:
    with refused("NOT_FOUND"):
        pubsub.call(method, name=pubsub.name("schemas"))


@schemas("A malformed name of a schema is INVALID_ARGUMENT.", docs="Schemas")
@pytest.mark.parametrize("method", BY_NAME)
@pytest.mark.parametrize("name", ["", "abc", "projects/p-1/schemas/ab", "projects/p-1/topics/abc"])
def test_malformed(pubsub: PubSub, method: str, name: str) -> None:
    with refused():
        pubsub.call(method, name=name)


@schemas("Creating a schema returns it, with a revision of 8 hex digits.", docs="Schemas")
def test_create(pubsub: PubSub) -> None:
    schema = record("id")

    created = pubsub.call("create_schema", parent=pubsub.project, schema=schema, schema_id="orders")

    assert created.name == f"{pubsub.project}/schemas/orders"
    assert (created.type_.name, created.definition) == ("AVRO", schema["definition"])
    assert len(created.revision_id) == 8
    assert int(created.revision_id, 16) >= 0
    assert created.revision_create_time


@schemas("A schema that exists is not created again: ALREADY_EXISTS.", docs="Error codes")
def test_create_twice(pubsub: PubSub) -> None:
    id = create(pubsub, record("id")).rpartition("/")[2]

    with refused("ALREADY_EXISTS"):
        pubsub.call("create_schema", parent=pubsub.project, schema=record("id"), schema_id=id)


@schemas(
    "A definition that cannot be parsed is INVALID_ARGUMENT, and so is a missing type.",
    docs="Schemas",
)
@pytest.mark.parametrize(
    "schema",
    [
        {"type_": "AVRO", "definition": "{}"},
        {"type_": "AVRO", "definition": "no schema"},
        {"type_": "AVRO"},
        {"type_": "AVRO", "definition": '{"type": "record", "name": "A"}'},
        {"definition": '"string"'},
    ],
)
def test_bad_definition(pubsub: PubSub, schema: dict[str, str]) -> None:
    with refused():
        create(pubsub, schema)
    with refused():
        pubsub.call("validate_schema", parent=pubsub.project, schema=schema)


@schemas("A schema may be in Protocol Buffers.", docs="Schemas", google=NO_PROTO)
def test_create_proto(pubsub: PubSub) -> None:
    name = create(pubsub, proto("string id = 1;"))

    assert pubsub.call("get_schema", name=name).type_.name == "PROTOCOL_BUFFER"


@schemas(
    "A .proto file has one type at its top level, and imports nothing.",
    docs="Schemas",
    google=NO_PROTO,
)
@pytest.mark.parametrize(
    "text",
    [
        "message A {} message B {}",
        'import "google/protobuf/timestamp.proto"; message A { google.protobuf.Timestamp a = 1; }',
        "",
        "message A { unknown a = 1; }",
        "message A {",
    ],
)
def test_bad_proto(pubsub: PubSub, text: str) -> None:
    schema = {"type_": "PROTOCOL_BUFFER", "definition": f'syntax = "proto3"; {text}'}

    with refused():
        pubsub.call("validate_schema", parent=pubsub.project, schema=schema)


@schemas("A definition has at most 300 KB.", docs="Schemas", google="takes any size")
def test_definition_size(pubsub: PubSub) -> None:
    with refused():
        create(pubsub, record("id", note="x" * 310_000))


@schemas("`validate` checks a definition, and creates nothing.", docs="Schemas")
def test_validate(pubsub: PubSub) -> None:
    pubsub.call("validate_schema", parent=pubsub.project, schema=record("id"))

    assert list(pubsub.call("list_schemas", parent=pubsub.project)) == []


@schemas(
    "Getting a schema returns all of it; the view BASIC leaves out the definition.", docs="Schemas"
)
def test_views_of_get(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))

    assert pubsub.call("get_schema", name=name).definition
    assert pubsub.call("get_schema", name=name, view=FULL).definition
    assert not pubsub.call("get_schema", name=name, view=BASIC).definition


@schemas(
    "Lists leave out the definition unless the view is FULL.",
    docs="Schemas",
    google="only if the view is BASIC",
)
def test_views_of_lists(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))

    for method, field in (("list_schemas", "parent"), ("list_schema_revisions", "name")):
        value = pubsub.project if field == "parent" else name
        (basic,) = pubsub.call(method, **{field: value})
        (full,) = pubsub.call(method, **{field: value}, view=FULL)
        assert (basic.name, basic.definition) == (name, "")
        assert full.definition


@schemas("Schemas come in pages of at most `page_size`.", docs="Schemas")
def test_pages(pubsub: PubSub) -> None:
    names = {create(pubsub, record("id")) for _ in range(3)}

    pager = pubsub.call("list_schemas", parent=pubsub.project, page_size=2)

    pages = [[schema.name for schema in page.schemas] for page in pager.pages]
    assert [len(page) for page in pages if page] == [2, 1]
    assert {name for page in pages for name in page} == names


@schemas("A deleted schema is NOT_FOUND.", docs="Schemas")
def test_delete(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))

    pubsub.call("delete_schema", name=name)

    with refused("NOT_FOUND"):
        pubsub.call("get_schema", name=name)


@schemas("Schemas have policies.", docs="Access control", google="INVALID_ARGUMENT")
def test_policy(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    policy = {"bindings": [{"role": "roles/pubsub.viewer", "members": ["user:a@example.com"]}]}

    pubsub.call("set_iam_policy", resource=name, policy=policy)

    assert pubsub.call("get_iam_policy", resource=name).bindings[0].role == "roles/pubsub.viewer"


@schemas("GET lists no schemas over REST either, and one is 404.", docs="REST reference")
def test_rest(pubsub: PubSub) -> None:
    listed = pubsub.rest("GET", f"{pubsub.project}/schemas")
    missing = pubsub.rest("GET", pubsub.name("schemas"))

    assert (listed.status, json.loads(listed.body)) == (200, {})
    assert (missing.status, json.loads(missing.body)["error"]["status"]) == (404, "NOT_FOUND")


@schemas("Schemas are created, revised and used over REST.", docs="REST reference")
def test_all_over_rest(pubsub: PubSub) -> None:
    avro = {"type": "AVRO", "definition": record("id")["definition"]}
    path = f"{pubsub.project}/schemas"

    def ok(method: str, path: str, body: object = None) -> Any:
        answer = pubsub.rest(method, path, body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    created = ok("POST", f"{path}?schemaId=orders", avro)
    second = ok("POST", f"{path}/orders:commit", {"schema": {"name": f"{path}/orders", **avro}})
    first = created["revisionId"]
    third = ok("POST", f"{path}/orders:rollback", {"revisionId": first})
    ok("DELETE", f"{path}/orders@{second['revisionId']}:deleteRevision")
    listed = ok("GET", f"{path}/orders:listRevisions")
    old = ok("GET", f"{path}/orders@{first}?view=FULL")
    message = {"message": b64encode(b'{"id": "1"}').decode(), "encoding": "JSON"}
    ok("POST", f"{path}:validate", {"schema": avro})
    ok("POST", f"{path}:validateMessage", {"name": f"{path}/orders", **message})

    assert (created["name"], created["type"]) == (f"{path}/orders", "AVRO")
    assert [each["revisionId"] for each in listed["schemas"]] == [first, third["revisionId"]]
    assert old["definition"] == avro["definition"]


# -- revisions -----------------------------------------------------------------------------------


@schemas(
    "A commit adds a revision, which is what the schema's name means from then on.", docs="Schemas"
)
def test_commit(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    first = revisions(pubsub, name)

    second = commit(pubsub, name, record("id", note=""))

    assert pubsub.call("get_schema", name=name).revision_id == second
    assert revisions(pubsub, name) == [*first, second]
    assert (
        pubsub.call("get_schema", name=f"{name}@{first[0]}").definition
        == (record("id")["definition"])
    )


@schemas("A revision of a name that does not exist is NOT_FOUND.", docs="Error codes")
def test_missing_revision(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    commit(pubsub, name, record("id"))

    for method in ("get_schema", "delete_schema_revision"):
        with refused("NOT_FOUND"):
            pubsub.call(method, name=f"{name}@c7cfa2a8")
    with refused("NOT_FOUND"):
        pubsub.call("rollback_schema", name=name, revision_id="c7cfa2a8")


@schemas(
    "A revision in Avro can read the data of the one before it, and the other way round.",
    docs="Schemas",
    google="takes any",
)
def test_avro_evolution(pubsub: PubSub) -> None:
    name = create(pubsub, record("id", note=""))

    with refused():
        commit(pubsub, name, record("id", "more", note=""))
    with refused():
        commit(pubsub, name, record(note=""))
    with refused():
        changed = record("id", note="")
        changed["definition"] = changed["definition"].replace('"string"', '"int"', 1)
        commit(pubsub, name, changed)
    commit(pubsub, name, record("id", more=""))


@schemas(
    "A revision in Protocol Buffers adds or removes optional fields, and changes none.",
    docs="Schemas",
    google=NO_PROTO,
)
def test_proto_evolution(pubsub: PubSub) -> None:
    name = create(pubsub, proto("string id = 1;", "string note = 2;", "repeated int32 x = 3;"))

    for fields in (
        ("int32 id = 1;", "string note = 2;", "repeated int32 x = 3;"),
        ("string key = 1;", "string note = 2;", "repeated int32 x = 3;"),
        ("string id = 1;", "string note = 2;"),
        ("string id = 4;", "string note = 2;", "repeated int32 x = 3;"),
    ):
        with refused():
            commit(pubsub, name, proto(*fields))
    commit(pubsub, name, proto("string id = 1;", "repeated int32 x = 3;", "bool more = 4;"))


@schemas("A revision has the type of its schema.", docs="Schemas", google=NO_PROTO)
def test_revision_of_another_type(pubsub: PubSub) -> None:
    name = create(pubsub, proto("string id = 1;"))

    with refused():
        commit(pubsub, name, record("id"))


@schemas("A rollback adds a revision that is a copy of an earlier one.", docs="Schemas")
def test_rollback(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    commit(pubsub, name, record("id", note=""))

    third = pubsub.call("rollback_schema", name=name, revision_id=first)

    assert third.definition == record("id")["definition"]
    assert third.revision_id not in (first, "")
    assert pubsub.call("get_schema", name=name).revision_id == third.revision_id
    assert len(revisions(pubsub, name)) == 3


@schemas("A rollback needs a revision.", docs="Schemas")
def test_rollback_to_nothing(pubsub: PubSub) -> None:
    with refused():
        pubsub.call("rollback_schema", name=create(pubsub, record("id")))


@schemas("A deleted revision is NOT_FOUND, and the others stay.", docs="Schemas")
def test_delete_revision(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    second = commit(pubsub, name, record("id"))

    deleted = pubsub.call("delete_schema_revision", name=f"{name}@{first}")

    assert deleted.revision_id == first
    assert revisions(pubsub, name) == [second]
    with refused("NOT_FOUND"):
        pubsub.call("get_schema", name=f"{name}@{first}")


@schemas("The last revision is not deleted: the schema is.", docs="Schemas")
def test_delete_last_revision(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))

    with refused():
        pubsub.call("delete_schema_revision", name=f"{name}@{revisions(pubsub, name)[0]}")


@schemas("A schema has at most 20 revisions.", docs="Schemas")
def test_most_revisions(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    for _ in range(19):
        commit(pubsub, name, record("id"))

    with refused("FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"):
        commit(pubsub, name, record("id"))


@schemas("Revisions come in pages too.", docs="Schemas")
def test_pages_of_revisions(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    for _ in range(2):
        commit(pubsub, name, record("id"))

    pager = pubsub.call("list_schema_revisions", name=name, page_size=2)

    pages = [[each.revision_id for each in page.schemas] for page in pager.pages]
    assert [len(page) for page in pages if page] == [2, 1]
    assert len({id for page in pages for id in page}) == 3


# -- messages ------------------------------------------------------------------------------------

ORDER = {
    "type_": "AVRO",
    "definition": json.dumps(
        {
            "type": "record",
            "name": "Order",
            "fields": [
                {"name": "id", "type": "int"},
                {"name": "note", "type": ["null", "string"], "default": None},
                {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
                {"name": "data", "type": "bytes", "default": ""},
            ],
        }
    ),
}
GOOD = {"id": 1, "note": None, "kind": "A", "data": ""}


@schemas(
    "Avro in JSON has Avro's own encoding: values of unions name their branch.", docs="Schemas"
)
@pytest.mark.parametrize(
    "change",
    [{}, {"note": {"string": "x"}}, {"data": "\u00ff"}, {"more": 1}, {"id": -(2**31)}],
    ids=str,
)
def test_good_avro_json(pubsub: PubSub, change: dict[str, object]) -> None:
    is_valid(pubsub, ORDER, json.dumps(GOOD | change).encode())


@schemas("JSON that does not follow the Avro schema is INVALID_ARGUMENT.", docs="Schemas")
@pytest.mark.parametrize(
    "data",
    [
        *(GOOD | change for change in (
            {"id": "1"}, {"id": 2**31}, {"id": None}, {"note": "x"}, {"note": {"int": 1}},
            {"kind": "C"}, {"kind": 1}, {"data": 1},
        )),
        {key: GOOD[key] for key in ("id", "kind", "data")},
        [],
        "no JSON",
    ],
    ids=str,
)  # fmt: skip
def test_bad_avro_json(pubsub: PubSub, data: object) -> None:
    with refused():
        is_valid(pubsub, ORDER, data.encode() if data == "no JSON" else json.dumps(data).encode())


@schemas("Avro may be binary.", docs="Schemas")
def test_avro_binary(pubsub: PubSub) -> None:
    is_valid(pubsub, ORDER, b"\x02\x02\x02x\x00\x04ab", "BINARY")
    for data in (b"", b"\x02", b"\x02\x08", b"\x02\x00\x04\x00", b"\x02\x00\x00\x08ab"):
        with refused():
            is_valid(pubsub, ORDER, data, "BINARY")


@schemas(
    "Data that go on after the message are INVALID_ARGUMENT, in both encodings.",
    docs="Schemas",
    google="takes them",
)
def test_too_much(pubsub: PubSub) -> None:
    with refused():
        is_valid(pubsub, ORDER, json.dumps(GOOD).encode() + b"{}")
    with refused():
        is_valid(pubsub, ORDER, b"\x02\x00\x00\x00more", "BINARY")


@schemas("Messages in Protocol Buffers may be JSON or binary.", docs="Schemas", google=NO_PROTO)
def test_proto_messages(pubsub: PubSub) -> None:
    schema = proto("string order_id = 1;", "int32 count = 2;")

    is_valid(pubsub, schema, b'{"orderId": "1", "count": 2}')
    is_valid(pubsub, schema, b'{"order_id": "1"}')
    is_valid(pubsub, schema, b"\x0a\x011\x10\x02", "BINARY")
    for data in (b'{"more": 1}', b'{"count": "x"}', b"[]", b"no JSON", b""):
        with refused():
            is_valid(pubsub, schema, data)
    for data in (b"\x0a\x05x", b"no protobuf"):
        with refused():
            is_valid(pubsub, schema, data, "BINARY")


@schemas("A required field of proto2 is required.", docs="Schemas", google=NO_PROTO)
def test_required(pubsub: PubSub) -> None:
    schema = proto("required string id = 1;", syntax="proto2")

    is_valid(pubsub, schema, b'{"id": "1"}')
    for encoding, data in (("JSON", b"{}"), ("BINARY", b"")):
        with refused():
            is_valid(pubsub, schema, data, encoding)


@schemas("A message is validated against a schema by its name, or by a revision's.", docs="Schemas")
def test_validate_by_name(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    fields = {"parent": pubsub.project, "name": name, "encoding": "JSON"}

    pubsub.call("validate_message", message=b'{"id": "1"}', **fields)
    with refused():
        pubsub.call("validate_message", message=b'{"id": 1}', **fields)
    with refused("NOT_FOUND"):
        fields["name"] += "x"
        pubsub.call("validate_message", message=b'{"id": "1"}', **fields)


@schemas("A message is not validated without an encoding.", docs="Schemas")
def test_validate_without_encoding(pubsub: PubSub) -> None:
    with refused():
        is_valid(pubsub, record("id"), b'{"id": "1"}', "ENCODING_UNSPECIFIED")


# -- topics --------------------------------------------------------------------------------------


@schemas("A topic tells its schema settings.", docs="API: Topic")
def test_topic(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))

    topic, _ = checked(pubsub, name, "BINARY")

    settings = pubsub.call("get_topic", topic=topic).schema_settings
    assert (settings.schema, settings.encoding.name) == (name, "BINARY")


@schemas("A topic's schema and its revisions exist, and an encoding is given.", docs="API: Topic")
def test_bad_topic(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    second = commit(pubsub, name, record("id"))

    def attempt(**settings: str) -> None:
        pubsub.topic(schema_settings={"schema": name, "encoding": "JSON", **settings})

    for settings in (
        {"schema": pubsub.name("schemas")},
        {"encoding": "ENCODING_UNSPECIFIED"},
        {"first_revision_id": "c7cfa2a8"},
        {"last_revision_id": "c7cfa2a8"},
        {"first_revision_id": second, "last_revision_id": first},
        {"schema": f"{name}@{first}"},
    ):
        with refused("NOT_FOUND", "INVALID_ARGUMENT"):
            attempt(**settings)


@schemas(
    "A message that does not follow the schema is not published: INVALID_ARGUMENT.", docs="Schemas"
)
def test_publish(pubsub: PubSub) -> None:
    topic, subscription = checked(pubsub, create(pubsub, record("id")))

    for messages in ([b"no JSON"], [b'{"id": 1}'], [b'{"id": "1"}', b"{}"]):
        with refused():
            pubsub.publish(topic, *messages)
    with refused():
        pubsub.publish(topic, {"attributes": {"id": "1"}})
    pubsub.publish(topic, b'{"id": "2"}')

    assert data_of(pubsub.pull(subscription)) == [b'{"id": "2"}']


@schemas(
    "The error of a message that does not follow the schema says why, in its details.",
    docs="Not documented",
    google="says only that",
)
def test_publish_error(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    topic, _ = checked(pubsub, name)

    with refused() as refusal:
        pubsub.publish(topic, b'{"id": 1}')

    assert len(refusal.details) == 1
    info = refusal.details[0]
    assert refusal.message == "Invalid data in message: Message failed schema validation."
    assert info.reason == "INVALID_JSON_AVRO_MESSAGE"
    assert name in info.metadata["revisionInfo"]
    assert revisions(pubsub, name)[0] in info.metadata["revisionInfo"]


@schemas("Messages carry the encoding, the schema and the revision as attributes.", docs="Schemas")
def test_attributes(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    topic, subscription = checked(pubsub, name)

    pubsub.publish(topic, {"data": b'{"id": "1"}', "attributes": {"mine": "stays"}})

    (received,) = pubsub.pull(subscription)
    assert dict(received.message.attributes) == {
        "mine": "stays",
        "googclient_schemaencoding": "JSON",
        "googclient_schemaname": name,
        "googclient_schemarevisionid": revisions(pubsub, name)[0],
    }


@schemas("Binary messages are checked when published, too.", docs="Schemas")
def test_publish_binary(pubsub: PubSub) -> None:
    topic, subscription = checked(pubsub, create(pubsub, record("id")), "BINARY")

    with refused():
        pubsub.publish(topic, b"\x08x")
    pubsub.publish(topic, b"\x04ab")

    (received,) = pubsub.pull(subscription)
    assert received.message.attributes["googclient_schemaencoding"] == "BINARY"


@schemas("A message carries the newest revision that it follows.", docs="Schemas")
def test_newest_revision(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    second = commit(pubsub, name, record("id", note=""))
    topic, subscription = checked(pubsub, name)

    pubsub.publish(topic, b'{"id": "1"}', b'{"id": "1", "note": ""}')

    received = pubsub.pull(subscription, 2)
    ids = {
        delivery.message.data: delivery.message.attributes["googclient_schemarevisionid"]
        for delivery in received
    }
    assert ids == {b'{"id": "1"}': first, b'{"id": "1", "note": ""}': second}


@schemas("A topic takes only revisions in the range that it names.", docs="API: Topic")
def test_range(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    second = commit(pubsub, name, record("id", note=""))
    old, _ = checked(pubsub, name, last_revision_id=first)
    new, subscription = checked(pubsub, name, first_revision_id=second)

    with refused():
        pubsub.publish(new, b'{"id": "1"}')
    pubsub.publish(old, b'{"id": "1"}')
    pubsub.publish(new, b'{"id": "1", "note": ""}')

    (received,) = pubsub.pull(subscription)
    assert received.message.attributes["googclient_schemarevisionid"] == second


@schemas("A topic may get a schema, another range, and none again.", docs="API: Publisher")
def test_update(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    (first,) = revisions(pubsub, name)
    topic = pubsub.topic()

    def update(mask: str, **settings: str) -> Any:
        fields = {"name": topic, **({"schema_settings": settings} if settings else {})}
        return pubsub.call("update_topic", topic=fields, update_mask={"paths": [mask]})

    update("schema_settings", schema=name, encoding="JSON")
    with refused():
        pubsub.publish(topic, b"no JSON")
    changed = update("schema_settings.last_revision_id", last_revision_id=first)
    assert changed.schema_settings.last_revision_id == first
    assert changed.schema_settings.schema == name
    with refused("NOT_FOUND", "INVALID_ARGUMENT"):
        update("schema_settings.schema", schema=name + "x")
    assert "schema_settings" not in update("schema_settings")
    pubsub.publish(topic, b"no JSON")


@schemas("A topic whose schema is deleted says `_deleted-schema_`.", docs="API: Topic")
def test_deleted_schema(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    topic, _ = checked(pubsub, name)

    pubsub.call("delete_schema", name=name)

    assert pubsub.call("get_topic", topic=topic).schema_settings.schema == "_deleted-schema_"


@schemas("A topic whose schema is deleted takes no messages.", docs="Schemas")
def test_publish_without_schema(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    topic, _ = checked(pubsub, name)
    pubsub.call("delete_schema", name=name)

    with refused("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"):
        pubsub.publish(topic, b'{"id": "1"}')


@schemas("A schema may be one of another project.", docs="Schemas")
def test_other_project(pubsub: PubSub) -> None:
    name = create(pubsub, record("id"))
    topic = f"{pubsub.project}-other/topics/orders"

    pubsub.topic(name=topic, schema_settings={"schema": name, "encoding": "JSON"})

    with refused():
        pubsub.publish(topic, b"no JSON")
