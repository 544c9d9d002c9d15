"""REST: paths, bodies, error bodies."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.contract.behaviours import Group
from tests.integration.processes import Answer

from .backends import PubSub

rest = Group("REST")


def body_of(answer: Answer, status: int = 200) -> Any:
    """Return the JSON of an answer that has this status."""
    assert answer.status == status, (answer.status, answer.body)
    kinds = [text for name, text in answer.headers.items() if name.lower() == "content-type"]
    assert kinds
    assert kinds[0].startswith("application/json")
    return json.loads(answer.body)


def error_of(answer: Answer, status: int, name: str) -> str:
    """Check the body of an error, and return its message."""
    error = body_of(answer, status)["error"]
    assert (error["code"], error["status"]) == (status, name), error
    assert error["message"]
    return str(error["message"])


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@rest("PUT creates a topic, and returns it.", docs="REST reference")
def test_create_topic(pubsub: PubSub) -> None:
    name = pubsub.name("topics")

    answer = body_of(pubsub.rest("PUT", name, {"labels": {"a": "b"}}))

    assert (answer["name"], answer["labels"]) == (name, {"a": "b"})


@rest("Fields are in camelCase, durations like `600s`.", docs="REST reference")
def test_names_of_fields(pubsub: PubSub) -> None:
    topic, name = pubsub.topic(), pubsub.name("subscriptions")
    body = {"topic": topic, "ackDeadlineSeconds": 42, "messageRetentionDuration": "600s"}

    answer = body_of(pubsub.rest("PUT", name, body))

    assert {**answer, **body} == answer
    assert answer["name"] == name


@rest("Fields may be sent in snake_case, too.", docs="REST reference")
def test_snake_case(pubsub: PubSub) -> None:
    topic, name = pubsub.topic(), pubsub.name("subscriptions")

    answer = pubsub.rest("PUT", name, {"topic": topic, "ack_deadline_seconds": 42})

    assert body_of(answer)["ackDeadlineSeconds"] == 42


@rest("GET returns topics and subscriptions.", docs="REST reference")
def test_get(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    assert body_of(pubsub.rest("GET", topic))["name"] == topic
    body = body_of(pubsub.rest("GET", subscription))
    assert (body["name"], body["topic"]) == (subscription, topic)


@rest("GET lists topics, with page size and token in the query.", docs="REST reference")
def test_list(pubsub: PubSub) -> None:
    names = sorted(pubsub.topic() for _ in range(3))

    first = body_of(pubsub.rest("GET", f"{pubsub.project}/topics?pageSize=2"))
    token = first["nextPageToken"]
    second = body_of(pubsub.rest("GET", f"{pubsub.project}/topics?pageSize=2&pageToken={token}"))

    listed = [topic["name"] for topic in first["topics"] + second["topics"]]
    assert sorted(listed) == names
    assert not second.get("nextPageToken")


@rest("GET lists a topic's subscriptions and the project's.", docs="REST reference")
def test_list_subscriptions(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    of_topic = body_of(pubsub.rest("GET", f"{topic}/subscriptions"))
    of_project = body_of(pubsub.rest("GET", f"{pubsub.project}/subscriptions"))

    assert of_topic["subscriptions"] == [subscription]
    assert [resource["name"] for resource in of_project["subscriptions"]] == [subscription]


@rest("POST :publish takes data as base64, and returns ids.", docs="REST reference")
def test_publish(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    message = {"data": encoded(b"\xfb\xff"), "attributes": {"a": "1"}, "orderingKey": "key"}

    answer = body_of(pubsub.rest("POST", f"{topic}:publish", {"messages": [message]}))

    (received,) = pubsub.pull(subscription)
    assert answer == {"messageIds": [received.message.message_id]}
    assert received.message.data == b"\xfb\xff"
    assert dict(received.message.attributes) == {"a": "1"}
    assert received.message.ordering_key == "key"


@rest("Data may be URL-safe base64, too.", docs="REST reference")
def test_url_safe_base64(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    body_of(pubsub.rest("POST", f"{topic}:publish", {"messages": [{"data": "-_8="}]}))

    (received,) = pubsub.pull(subscription)
    assert received.message.data == b"\xfb\xff"


@rest("POST :pull returns messages with ackId, data and publishTime.", docs="REST reference")
def test_pull(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    (id,) = pubsub.publish(topic, {"data": b"\xfb\xff", "attributes": {"a": "1"}})

    (received,) = body_of(pubsub.rest("POST", f"{subscription}:pull", {"maxMessages": 10}))[
        "receivedMessages"
    ]

    assert received["ackId"]
    message = received["message"]
    assert (message["messageId"], message["attributes"]) == (id, {"a": "1"})
    assert message["data"] == encoded(b"\xfb\xff")
    assert message["publishTime"].endswith("Z")


@rest("A pull that finds nothing answers an empty object.", docs="API: PullRequest")
def test_empty_pull(pubsub: PubSub) -> None:
    subscription = pubsub.subscription()

    answer = pubsub.rest(
        "POST", f"{subscription}:pull", {"maxMessages": 1, "returnImmediately": True}
    )

    assert body_of(answer) == {}


@rest("POST :acknowledge answers an empty object.", docs="REST reference")
def test_acknowledge(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)

    answer = pubsub.rest("POST", f"{subscription}:acknowledge", {"ackIds": [received.ack_id]})

    assert body_of(answer) == {}
    pubsub.modify(subscription, 0, received)
    assert pubsub.pull_now(subscription) == []


@rest("POST :modifyAckDeadline nacks with 0.", docs="REST reference")
def test_modify_ack_deadline(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")
    (received,) = pubsub.pull(subscription)
    body = {"ackIds": [received.ack_id], "ackDeadlineSeconds": 0}

    assert body_of(pubsub.rest("POST", f"{subscription}:modifyAckDeadline", body)) == {}

    assert len(pubsub.pull(subscription)) == 1


@rest("PATCH takes the subscription and an update mask in its body.", docs="REST reference")
def test_patch_subscription(pubsub: PubSub) -> None:
    name = pubsub.subscription()
    body = {"subscription": {"ackDeadlineSeconds": 60}, "updateMask": "ackDeadlineSeconds"}

    answer = body_of(pubsub.rest("PATCH", name, body))

    assert (answer["name"], answer["ackDeadlineSeconds"]) == (name, 60)


@rest("PATCH takes the topic and an update mask in its body.", docs="REST reference")
def test_patch_topic(pubsub: PubSub) -> None:
    name = pubsub.topic()
    body = {
        "topic": {"name": name, "messageRetentionDuration": "86400s"},
        "updateMask": "messageRetentionDuration",
    }

    answer = body_of(pubsub.rest("PATCH", name, body))

    assert answer["messageRetentionDuration"] == "86400s"


@rest("An update mask may be in snake_case.", docs="REST reference")
@pytest.mark.parametrize("mask", ["ack_deadline_seconds", "push_config,ackDeadlineSeconds"])
def test_snake_case_mask(pubsub: PubSub, mask: str) -> None:
    name = pubsub.subscription()
    subscription = {"name": name, "ackDeadlineSeconds": 33}

    answer = body_of(pubsub.rest("PATCH", name, {"subscription": subscription, "updateMask": mask}))

    assert answer["ackDeadlineSeconds"] == 33


@rest("An update mask in snake_case may be in the query.", docs="REST reference")
def test_mask_in_the_query(pubsub: PubSub) -> None:
    name = pubsub.topic()
    body = {"topic": {"name": name, "messageRetentionDuration": "700s"}}

    path = f"{name}?updateMask=message_retention_duration"
    answer = body_of(pubsub.rest("PATCH", path, body))

    assert answer["messageRetentionDuration"] == "700s"


@rest("A pull subscription has an empty `pushConfig`.", docs="REST reference")
def test_empty_push_config(pubsub: PubSub) -> None:
    name = pubsub.name("subscriptions")

    created = body_of(pubsub.rest("PUT", name, {"topic": pubsub.topic()}))

    assert created["pushConfig"] == {}
    assert body_of(pubsub.rest("GET", name))["pushConfig"] == {}


@rest("A number of delivery attempts out of its range is 400 OUT_OF_RANGE.", docs="Error codes")
def test_out_of_range(pubsub: PubSub) -> None:
    policy = {"deadLetterTopic": pubsub.topic(), "maxDeliveryAttempts": 4}
    body = {"topic": pubsub.topic(), "deadLetterPolicy": policy}

    answer = pubsub.rest("PUT", pubsub.name("subscriptions"), body)

    error_of(answer, 400, "OUT_OF_RANGE")


@rest("POST :modifyPushConfig changes the endpoint.", docs="REST reference")
def test_modify_push_config(pubsub: PubSub) -> None:
    name = pubsub.subscription(push_config={"push_endpoint": "http://127.0.0.1:9/old"})
    body = {"pushConfig": {"pushEndpoint": "http://127.0.0.1:9/new"}}

    assert body_of(pubsub.rest("POST", f"{name}:modifyPushConfig", body)) == {}

    body = body_of(pubsub.rest("GET", name))
    assert body["pushConfig"]["pushEndpoint"] == "http://127.0.0.1:9/new"


@rest("POST :seek takes a time.", docs="REST reference")
def test_seek(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.publish(topic, b"x")

    answer = pubsub.rest("POST", f"{subscription}:seek", {"time": "2999-01-01T00:00:00Z"})

    assert body_of(answer) == {}
    assert pubsub.pull_now(subscription) == []


@rest("PUT creates a snapshot, GET returns it, DELETE deletes it.", docs="REST reference")
def test_snapshots(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    name = pubsub.name("snapshots")

    created = body_of(pubsub.rest("PUT", name, {"subscription": subscription}))

    assert (created["name"], created["topic"]) == (name, topic)
    assert created["expireTime"].endswith("Z")
    assert body_of(pubsub.rest("GET", name)) == created
    assert body_of(pubsub.rest("GET", f"{topic}/snapshots"))["snapshots"] == [name]
    assert body_of(pubsub.rest("DELETE", name)) == {}


@rest("POST :detach detaches a subscription.", docs="REST reference", google="501 UNIMPLEMENTED")
def test_detach(pubsub: PubSub) -> None:
    name = pubsub.subscription()

    assert body_of(pubsub.rest("POST", f"{name}:detach")) == {}

    assert body_of(pubsub.rest("GET", name))["detached"] is True


@rest(
    "DELETE deletes topics and subscriptions, and answers an empty object.", docs="REST reference"
)
def test_delete(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()

    assert body_of(pubsub.rest("DELETE", subscription)) == {}
    assert body_of(pubsub.rest("DELETE", topic)) == {}

    error_of(pubsub.rest("GET", topic), 404, "NOT_FOUND")


@rest(
    "Policies are at :getIamPolicy, :setIamPolicy and :testIamPermissions.",
    docs="REST reference",
    google="501 UNIMPLEMENTED",
)
def test_iam(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    policy = {"bindings": [{"role": "roles/viewer", "members": ["allUsers"]}]}

    body_of(pubsub.rest("POST", f"{topic}:setIamPolicy", {"policy": policy}))

    body = body_of(pubsub.rest("GET", f"{topic}:getIamPolicy"))
    assert body["bindings"] == policy["bindings"]
    asked = {"permissions": ["pubsub.topics.get"]}
    assert body_of(pubsub.rest("POST", f"{topic}:testIamPermissions", asked)) == asked


@rest("A missing resource is 404 NOT_FOUND, in the error's body too.", docs="Error codes")
def test_not_found(pubsub: PubSub) -> None:
    name = pubsub.name("topics")

    error_of(pubsub.rest("GET", name), 404, "NOT_FOUND")
    error_of(
        pubsub.rest("POST", f"{name}:publish", {"messages": [{"data": "eA=="}]}), 404, "NOT_FOUND"
    )


@rest("A resource that exists already is 409 ALREADY_EXISTS.", docs="Error codes")
def test_already_exists(pubsub: PubSub) -> None:
    error_of(pubsub.rest("PUT", pubsub.topic(), {}), 409, "ALREADY_EXISTS")


@rest("A value that is not allowed is 400 INVALID_ARGUMENT.", docs="Error codes")
def test_invalid_argument(pubsub: PubSub) -> None:
    body = {"topic": pubsub.topic(), "messageRetentionDuration": "1s"}

    answer = pubsub.rest("PUT", pubsub.name("subscriptions"), body)

    error_of(answer, 400, "INVALID_ARGUMENT")


@rest(
    "A pull from a detached subscription is 400 FAILED_PRECONDITION.",
    docs="Error codes",
    google="501 UNIMPLEMENTED to detach",
)
def test_failed_precondition(pubsub: PubSub) -> None:
    name = pubsub.subscription()
    pubsub.call("detach_subscription", subscription=name)

    answer = pubsub.rest("POST", f"{name}:pull", {"maxMessages": 1})

    error_of(answer, 400, "FAILED_PRECONDITION")


@rest("A body that isn't JSON is 400 INVALID_ARGUMENT.", docs="Error codes")
@pytest.mark.parametrize("body", [b"{", b"not json", b'{"messages":', b"\xff\xfe"])
def test_no_json(pubsub: PubSub, body: bytes) -> None:
    error_of(pubsub.rest("POST", f"{pubsub.topic()}:publish", body), 400, "INVALID_ARGUMENT")


@rest("JSON that isn't an object is 400 INVALID_ARGUMENT.", docs="Error codes")
@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"'])
def test_no_object(pubsub: PubSub, body: bytes) -> None:
    error_of(pubsub.rest("POST", f"{pubsub.topic()}:publish", body), 400, "INVALID_ARGUMENT")


@rest("A field that there is not is 400 INVALID_ARGUMENT.", docs="Error codes")
def test_unknown_field(pubsub: PubSub) -> None:
    answer = pubsub.rest("PUT", pubsub.name("topics"), {"colour": "blue"})

    error_of(answer, 400, "INVALID_ARGUMENT")


@rest("A field of a wrong type is 400 INVALID_ARGUMENT.", docs="Error codes")
@pytest.mark.parametrize(
    "field",
    [{"ackDeadlineSeconds": "soon"}, {"labels": []}, {"retryPolicy": {"minimumBackoff": "soon"}}],
)
def test_wrong_type(pubsub: PubSub, field: dict[str, Any]) -> None:
    body = {"topic": pubsub.topic(), **field}

    answer = pubsub.rest("PUT", pubsub.name("subscriptions"), body)

    error_of(answer, 400, "INVALID_ARGUMENT")


@rest("Data that isn't base64 is 400 INVALID_ARGUMENT.", docs="Error codes")
def test_no_base64(pubsub: PubSub) -> None:
    body = {"messages": [{"data": "not base64!"}]}

    error_of(pubsub.rest("POST", f"{pubsub.topic()}:publish", body), 400, "INVALID_ARGUMENT")


@rest("A path that there is not is 404.", docs="REST reference")
@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/projects/p-1/queues/q-1", "/v9/x"])
def test_unknown_path(pubsub: PubSub, path: str) -> None:
    assert pubsub.rest("GET", path).status == 404


@rest("A verb that there is not is 404.", docs="REST reference")
def test_unknown_verb(pubsub: PubSub) -> None:
    assert pubsub.rest("POST", f"{pubsub.topic()}:explode", {}).status == 404


@rest("`%` in an id is escaped in the path.", docs="REST reference")
def test_escaped_path(pubsub: PubSub) -> None:
    name = pubsub.name("topics", "abc%25def+ghi")

    body_of(pubsub.rest("PUT", name, {}))

    assert body_of(pubsub.rest("GET", name))["name"] == pubsub.name("topics", "abc%def+ghi")


@rest("Parameters of every Google API, as `alt=json`, are taken.", docs="REST reference")
def test_standard_parameters(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    answer = pubsub.rest("GET", f"{topic}?alt=json&prettyPrint=false&key=x&%24.xgafv=2")

    assert body_of(answer)["name"] == topic
