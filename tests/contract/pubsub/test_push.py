"""Push: the form of requests."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.contract.behaviours import Group

from .backends import PubSub, data_of
from .sink import Sink

push = Group("Push")


def pushed(pubsub: PubSub, sink: Sink, **config: Any) -> tuple[str, str]:
    """Create a topic that is pushed to the sink; return it and the subscription."""
    return pubsub.subscribed_topic(push_config={"push_endpoint": sink.url, **config})


@push("A message is posted to the endpoint, as JSON.", docs="Push subscriptions")
def test_request(pubsub: PubSub, sink: Sink) -> None:
    topic, subscription = pushed(pubsub, sink)
    (id,) = pubsub.publish(topic, {"data": b"\x00hello", "attributes": {"a": "1"}})

    (request,) = sink.wait_for(1)

    assert request.path == "/push"
    assert request.headers["content-type"] == "application/json"
    message = request.json["message"]
    assert base64.b64decode(message["data"]) == b"\x00hello"
    assert message["attributes"] == {"a": "1"}
    assert message["messageId"] == id
    assert request.json["subscription"] == subscription


@push("The endpoint may be on any machine.", docs="API: PushConfig")
def test_remote_endpoint(pubsub: PubSub) -> None:
    first, second = "https://push.invalid/first", "https://push.invalid/second"
    subscription = pubsub.subscription(push_config={"push_endpoint": first})

    config = {"push_endpoint": second}
    pubsub.call("modify_push_config", subscription=subscription, push_config=config)

    assert pubsub.get_subscription(subscription).push_config.push_endpoint == second


@push("Id and time are in the body under both spellings.", docs="Push subscriptions")
def test_both_spellings(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink)
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    message = request.json["message"]
    assert message["messageId"] == message["message_id"]
    assert message["publishTime"] == message["publish_time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", message["publishTime"])


@push("A message with no data but attributes is pushed.", docs="Push subscriptions")
def test_no_data(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink)
    pubsub.publish(topic, {"attributes": {"a": "1"}})

    (request,) = sink.wait_for(1)

    assert request.json["message"]["attributes"] == {"a": "1"}
    assert request.json["message"].get("data", "") == ""


@push("A push's user agent is APIs-Google.", docs="Push subscriptions", google="Java/…")
def test_user_agent(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink)
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    assert request.headers["user-agent"].startswith("APIs-Google")


@push(
    "The body of a push tells the ordering key, where ordering is on.",
    docs="Order messages",
    google="does not tell it",
)
def test_ordering_key(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pubsub.subscribed_topic(
        push_config={"push_endpoint": sink.url}, enable_message_ordering=True
    )
    pubsub.publish(topic, {"data": b"x", "ordering_key": "key"})

    (request,) = sink.wait_for(1)

    assert request.json["message"].get("orderingKey") == "key"


@push(
    "With a dead-letter policy the body of a push tells the delivery attempt.",
    docs="Handle message failures",
    google="does not tell it",
)
def test_delivery_attempt(pubsub: PubSub, sink: Sink) -> None:
    sink.answers = [500, 200]
    topic, _ = pubsub.subscribed_topic(
        push_config={"push_endpoint": sink.url},
        dead_letter_policy={"dead_letter_topic": pubsub.topic()},
    )
    pubsub.publish(topic, b"x")

    pushes = sink.wait_for(2)

    assert [push.json.get("deliveryAttempt") for push in pushes] == [1, 2]


@push("Without a dead-letter policy it tells none.", docs="Handle message failures")
def test_no_delivery_attempt(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink)
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    assert "deliveryAttempt" not in request.json


@push("An unwrapped push has the message's data as its body.", docs="Payload unwrapping")
def test_unwrapped(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink, no_wrapper={})
    pubsub.publish(topic, {"data": b"\x00hello", "attributes": {"colour": "blue"}})

    (request,) = sink.wait_for(1)

    assert request.body == b"\x00hello"
    assert "colour" not in request.headers
    assert not [name for name in request.headers if name.startswith("x-goog-pubsub-")]


@push("With metadata, the attributes are headers.", docs="Payload unwrapping")
def test_metadata_attributes(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink, no_wrapper={"write_metadata": True})
    pubsub.publish(topic, {"data": b"hello", "attributes": {"colour": "blue"}})

    (request,) = sink.wait_for(1)

    assert request.body == b"hello"
    assert request.headers["colour"] == "blue"


@push("With metadata, id, time and subscription are headers.", docs="Payload unwrapping")
def test_metadata_headers(pubsub: PubSub, sink: Sink) -> None:
    topic, subscription = pushed(pubsub, sink, no_wrapper={"write_metadata": True})
    (id,) = pubsub.publish(topic, b"hello")

    (request,) = sink.wait_for(1)

    assert request.headers["x-goog-pubsub-message-id"] == id
    assert request.headers["x-goog-pubsub-subscription-name"] == subscription
    assert request.headers["x-goog-pubsub-publish-time"].startswith("20")


@push(
    "With metadata, the ordering key is the header x-goog-pubsub-ordering-key.",
    docs="Payload unwrapping",
    google="under x-goog-ordering-key",
)
def test_metadata_ordering_key(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pubsub.subscribed_topic(
        push_config={"push_endpoint": sink.url, "no_wrapper": {"write_metadata": True}},
        enable_message_ordering=True,
    )
    pubsub.publish(topic, {"data": b"x", "ordering_key": "key"})

    (request,) = sink.wait_for(1)

    assert request.headers.get("x-goog-pubsub-ordering-key") == "key"


@push(
    "With `oidc_token` there is a signed token in the Authorization header.",
    docs="Authenticate push subscriptions",
    google="no header",
)
def test_token(pubsub: PubSub, sink: Sink) -> None:
    account = "pusher@example.iam.gserviceaccount.com"
    topic, _ = pushed(pubsub, sink, oidc_token={"service_account_email": account, "audience": "us"})
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    claims = claims_of(request.headers.get("authorization", ""))
    assert claims["aud"] == "us"
    assert claims["email"] == account
    assert claims["email_verified"] is True
    assert claims["iss"] == "https://accounts.google.com"
    assert claims["iat"] < claims["exp"]
    assert claims["sub"]


@push(
    "The token's audience is the endpoint if none is given.",
    docs="API: PushConfig",
    google="no header",
)
def test_default_audience(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink, oidc_token={"service_account_email": "pusher@example.com"})
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    assert claims_of(request.headers.get("authorization", ""))["aud"] == sink.url


@push(
    "Without `oidc_token` there is no Authorization header.", docs="Authenticate push subscriptions"
)
def test_no_token(pubsub: PubSub, sink: Sink) -> None:
    topic, _ = pushed(pubsub, sink)
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)

    assert "authorization" not in request.headers


@push("An empty push config turns push off: messages can be pulled.", docs="API: Subscriber")
def test_turn_push_off(pubsub: PubSub, sink: Sink) -> None:
    topic, subscription = pushed(pubsub, sink)

    pubsub.call("modify_push_config", subscription=subscription, push_config={})
    pubsub.publish(topic, b"x")

    assert data_of(pubsub.pull(subscription)) == [b"x"]
    assert sink.pushes == []


@push("A push config turns push on, also for waiting messages.", docs="API: Subscriber")
def test_turn_push_on(pubsub: PubSub, sink: Sink) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config={})
    pubsub.publish(topic, b"x")

    pubsub.call(
        "modify_push_config",
        subscription=subscription,
        push_config={"push_endpoint": sink.url},
    )

    (request,) = sink.wait_for(1)
    assert request.json["message"]["data"] == "eA=="


@push("A changed endpoint gets the messages from then on.", docs="API: Subscriber")
def test_change_the_endpoint(pubsub: PubSub, sink: Sink) -> None:
    topic, subscription = pushed(pubsub, sink)

    pubsub.call(
        "modify_push_config",
        subscription=subscription,
        push_config={"push_endpoint": sink.url + "/other"},
    )
    pubsub.publish(topic, b"x")

    (request,) = sink.wait_for(1)
    assert request.path == "/push/other"


@push(
    "Detaching a push subscription stops its pushes.",
    docs="API: Subscription",
    google="UNIMPLEMENTED",
)
def test_detach(pubsub: PubSub, sink: Sink) -> None:
    topic, subscription = pushed(pubsub, sink)
    pubsub.subscription(topic, push_config={"push_endpoint": sink.url + "/other"})

    pubsub.call("detach_subscription", subscription=subscription)
    pubsub.publish(topic, b"1")
    sink.wait_for(1)
    pubsub.publish(topic, b"2")

    assert {request.path for request in sink.wait_for(2)} == {"/push/other"}


@push(
    "A push config is as it was given, and its version is v1.",
    docs="API: PushConfig",
    google="no version",
)
def test_version(pubsub: PubSub, sink: Sink) -> None:
    _, subscription = pushed(pubsub, sink)

    config = pubsub.get_subscription(subscription).push_config

    assert config.push_endpoint == sink.url
    assert dict(config.attributes) == {"x-goog-version": "v1"}


def claims_of(header: str) -> Any:
    """Return the claims of a bearer token."""
    scheme, _, token = header.partition(" ")
    assert scheme == "Bearer"
    _, claims, signature = token.split(".")
    assert signature
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


push.only_in_the_cloud(
    "Endpoints have an https address with a certificate that is not self-signed.",
    docs="Push subscriptions",
)
push.only_in_the_cloud(
    "The token is signed with Google's keys, and verified with those of www.googleapis.com.",
    docs="Authenticate push subscriptions",
)
