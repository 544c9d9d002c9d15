"""`gcloud pubsub` unchanged: topics, subscriptions, publish, pull, ack, seek, snapshots."""

from __future__ import annotations

import base64

import pytest

from tests.integration.emulator import PROJECT, Emulator, new_name

from .endpoint import Endpoint
from .gcloud import Gcloud, GcloudError

pytestmark = pytest.mark.slow

TOPICS, SUBSCRIPTIONS = "pubsub topics", "pubsub subscriptions"


@pytest.fixture
def topic(pubsub: Emulator) -> str:
    """The id of a topic."""
    return pubsub.create_topic().rpartition("/")[2]


def new_id() -> str:
    return new_name("topics").rpartition("/")[2]


def test_the_life_of_a_topic(gcloud: Gcloud, endpoint: Endpoint) -> None:
    topic, subscription = new_id(), new_id()
    name = f"projects/{PROJECT}/topics/{topic}"

    (created,) = gcloud.run(
        f"{TOPICS} create {topic} --labels=team=x --message-retention-duration=1d"
    )
    assert created["name"] == name
    gcloud.run(f"{SUBSCRIPTIONS} create {subscription} --topic={topic}")
    update = "--message-retention-duration=2d"
    if endpoint.is_ours:
        update += " --update-labels=team=y"
    listed, of_topic, _ = gcloud.together(
        (f"{TOPICS} list --filter=name:{topic}",),
        (f"{TOPICS} list-subscriptions {topic}",),
        (f"{TOPICS} update {topic} {update}",),
    )

    assert [topic["name"] for topic in listed] == [name]
    assert of_topic == [f"projects/{PROJECT}/subscriptions/{subscription}"]
    described = gcloud.run(f"{TOPICS} describe {topic}")
    assert described["messageRetentionDuration"] == "172800s"
    assert described["labels"] == {"team": "y" if endpoint.is_ours else "x"}
    gcloud.run(f"{TOPICS} delete {topic}")
    with pytest.raises(GcloudError, match=r"NOT_FOUND|not found"):
        gcloud.run(f"{TOPICS} describe {topic}")


def test_a_message_is_published_pulled_and_acknowledged(gcloud: Gcloud, topic: str) -> None:
    subscription = new_id()
    gcloud.run(f"{SUBSCRIPTIONS} create {subscription} --topic={topic} --enable-message-ordering")

    published = gcloud.run(
        f"{TOPICS} publish {topic} --attribute=colour=red,size=xl --ordering-key=k",
        "--message={'é': 1}",
    )
    (received,) = gcloud.run(f"{SUBSCRIPTIONS} pull {subscription} --limit=5")

    message = received["message"]
    assert published["messageIds"] == [message["messageId"]]
    assert base64.b64decode(message["data"]).decode() == "{'é': 1}"
    assert message["attributes"] == {"colour": "red", "size": "xl"}
    assert message["orderingKey"] == "k"
    ack_id = f"--ack-ids={received['ackId']}"
    gcloud.run(
        f"{SUBSCRIPTIONS} modify-message-ack-deadline {subscription} --ack-deadline=0", ack_id
    )
    (again,) = gcloud.run(f"{SUBSCRIPTIONS} pull {subscription}")
    assert again["message"]["messageId"] == message["messageId"]
    gcloud.run(f"{SUBSCRIPTIONS} ack {subscription}", f"--ack-ids={again['ackId']}")
    gcloud.run(f"{TOPICS} publish {topic} --message=next --ordering-key=k")
    (other,) = gcloud.run(f"{SUBSCRIPTIONS} pull {subscription} --auto-ack")
    assert base64.b64decode(other["message"]["data"]) == b"next"


def test_a_subscription_takes_every_flag(gcloud: Gcloud, endpoint: Endpoint, topic: str) -> None:
    dead, pulled, pushed = topic, new_id(), new_id()

    gcloud.together(
        (
            f"{SUBSCRIPTIONS} create {pulled} --topic={topic} --ack-deadline=30"
            " --retain-acked-messages --message-retention-duration=2d --expiration-period=3d"
            " --enable-message-ordering --enable-exactly-once-delivery --labels=team=x"
            " --min-retry-delay=5s --max-retry-delay=60s"
            f" --dead-letter-topic={dead} --max-delivery-attempts=7",
            '--message-filter=attributes.colour = "red"',
        ),
        (
            f"{SUBSCRIPTIONS} create {pushed} --topic={topic} --expiration-period=never"
            " --push-endpoint=http://127.0.0.1:9/task"
            " --push-auth-service-account=sa@p.iam.gserviceaccount.com"
            " --push-auth-token-audience=me"
            " --push-no-wrapper --push-no-wrapper-write-metadata",
        ),
    )

    of_pull, of_push = gcloud.together(
        (f"{SUBSCRIPTIONS} describe {pulled}",), (f"{SUBSCRIPTIONS} describe {pushed}",)
    )
    wanted = {
        "name": f"projects/{PROJECT}/subscriptions/{pulled}",
        "topic": f"projects/{PROJECT}/topics/{topic}",
        "ackDeadlineSeconds": 30,
        "retainAckedMessages": True,
        "messageRetentionDuration": "172800s",
        "expirationPolicy": {"ttl": "259200s"},
        "enableMessageOrdering": True,
        "enableExactlyOnceDelivery": True,
        "labels": {"team": "x"},
        "retryPolicy": {"minimumBackoff": "5s", "maximumBackoff": "60s"},
        "deadLetterPolicy": {
            "deadLetterTopic": f"projects/{PROJECT}/topics/{dead}",
            "maxDeliveryAttempts": 7,
        },
        "filter": 'attributes.colour = "red"',
    }
    assert {key: of_pull[key] for key in wanted} == wanted
    push = of_push["pushConfig"]
    assert push["pushEndpoint"] == "http://127.0.0.1:9/task"
    assert push["oidcToken"] == {
        "serviceAccountEmail": "sa@p.iam.gserviceaccount.com",
        "audience": "me",
    }
    if endpoint.is_ours:
        assert push["noWrapper"] == {"writeMetadata": True}
        assert of_push["expirationPolicy"] == {}


def test_a_subscription_is_changed_listed_and_deleted(
    gcloud: Gcloud, endpoint: Endpoint, topic: str
) -> None:
    subscription = new_id()
    gcloud.run(
        f"{SUBSCRIPTIONS} create {subscription} --topic={topic}"
        f" --dead-letter-topic={topic} --max-delivery-attempts=7 --min-retry-delay=5s"
    )

    update = "--ack-deadline=42 --clear-dead-letter-policy --clear-retry-policy"
    if endpoint.is_ours:
        update += " --update-labels=team=y"
    gcloud.run(f"{SUBSCRIPTIONS} update {subscription} {update}")
    gcloud.run(
        f"{SUBSCRIPTIONS} modify-push-config {subscription} --push-endpoint=http://127.0.0.1:9/x"
    )

    (shown,) = gcloud.run(f"{SUBSCRIPTIONS} list --filter=name:{subscription}")
    assert shown["ackDeadlineSeconds"] == 42
    assert not {"deadLetterPolicy", "retryPolicy"} & shown.keys()
    assert shown["pushConfig"]["pushEndpoint"] == "http://127.0.0.1:9/x"
    if endpoint.is_ours:
        assert shown["labels"] == {"team": "y"}
    gcloud.run(f"{SUBSCRIPTIONS} delete {subscription}")
    with pytest.raises(GcloudError, match=r"NOT_FOUND|not found|does not exist"):
        gcloud.run(f"{SUBSCRIPTIONS} pull {subscription}")


def test_snapshots_and_seeking(gcloud: Gcloud, topic: str) -> None:
    subscription, snapshot = new_id(), new_id()
    gcloud.run(f"{SUBSCRIPTIONS} create {subscription} --topic={topic} --retain-acked-messages")
    gcloud.run(f"pubsub snapshots create {snapshot} --subscription={subscription}")
    gcloud.run(f"{TOPICS} publish {topic} --message=data")
    pull = f"{SUBSCRIPTIONS} pull {subscription} --auto-ack"
    (first,) = gcloud.run(pull)

    gcloud.run(f"{SUBSCRIPTIONS} seek {subscription} --snapshot={snapshot}")
    (second,) = gcloud.run(pull)
    gcloud.run(f"{SUBSCRIPTIONS} seek {subscription} --time=-p1h")
    (third,) = gcloud.run(pull)

    ids = {pulled["message"]["messageId"] for pulled in (first, second, third)}
    assert len(ids) == 1
    name = f"projects/{PROJECT}/snapshots/{snapshot}"
    listed, of_topic = gcloud.together(
        (f"pubsub snapshots list --filter=name:{snapshot}",),
        (f"alpha {TOPICS} list-snapshots {topic}",),
    )
    assert [resource["name"] for resource in listed] == [name]
    assert of_topic == [name]
    gcloud.run(f"pubsub snapshots delete {snapshot}")


@pytest.mark.usefixtures("ours_only")
def test_detaching_and_policies(gcloud: Gcloud, topic: str) -> None:
    subscription = new_id()
    gcloud.run(f"{SUBSCRIPTIONS} create {subscription} --topic={topic}")

    binding = "--member=user:a@example.com --role=roles/pubsub.publisher"
    gcloud.together(
        (f"{TOPICS} detach-subscription {subscription}",),
        (f"{TOPICS} add-iam-policy-binding {topic} {binding}",),
        (f"{SUBSCRIPTIONS} add-iam-policy-binding {subscription} {binding}",),
    )

    detached, policy = gcloud.together(
        (f"{SUBSCRIPTIONS} describe {subscription}",), (f"{TOPICS} get-iam-policy {topic}",)
    )
    assert detached["detached"] is True
    assert policy["bindings"] == [
        {"members": ["user:a@example.com"], "role": "roles/pubsub.publisher"}
    ]
    gcloud.run(f"{TOPICS} remove-iam-policy-binding {topic} {binding}")
    with pytest.raises(GcloudError, match=r"FAILED_PRECONDITION|detached"):
        gcloud.run(f"{SUBSCRIPTIONS} pull {subscription}")
