"""Features of Google's cloud that neither emulator has: ours refuses them by name."""

from __future__ import annotations

import json
from typing import Any

from google.pubsub_v1.types import Subscription, Topic

from tests.contract.behaviours import Group, skip_without

from .backends import PubSub, refused

unsupported = Group("Not supported")

REFUSED = "UNIMPLEMENTED, by name"


def is_refused(side: str, pubsub: PubSub, about: str, method: str, **fields: Any) -> None:
    """Check that ours refuses a call by name, and that Google's emulator takes it."""
    if side == "google":
        pubsub.call(method, **fields)
        return
    with refused("UNIMPLEMENTED") as refusal:
        pubsub.call(method, **fields)
    assert about in refusal.message.lower()


def subscription_is_refused(side: str, pubsub: PubSub, about: str, **fields: Any) -> None:
    skip_without(Subscription, fields)
    topic, name = pubsub.topic(), pubsub.name("subscriptions")
    is_refused(side, pubsub, about, "create_subscription", name=name, topic=topic, **fields)


def topic_is_refused(side: str, pubsub: PubSub, about: str, **fields: Any) -> None:
    skip_without(Topic, fields)
    is_refused(side, pubsub, about, "create_topic", name=pubsub.name("topics"), **fields)


@unsupported(
    "A BigQuery subscription writes messages to a table.",
    docs="BigQuery subscriptions",
    ours=REFUSED,
    google="taken, nothing is written",
    observed=True,
)
def test_bigquery(side: str, pubsub: PubSub) -> None:
    subscription_is_refused(side, pubsub, "bigquery", bigquery_config={"table": "p.d.t"})


@unsupported(
    "A Cloud Storage subscription writes messages to a bucket.",
    docs="Cloud Storage subscriptions",
    ours=REFUSED,
    google="taken, nothing is written",
    observed=True,
)
def test_cloud_storage(side: str, pubsub: PubSub) -> None:
    subscription_is_refused(side, pubsub, "storage", cloud_storage_config={"bucket": "bucket"})


@unsupported(
    "A Bigtable subscription writes messages to a table.",
    docs="Bigtable subscriptions",
    ours=REFUSED,
    google="taken, nothing is written",
    observed=True,
)
def test_bigtable(side: str, pubsub: PubSub) -> None:
    config = {"table": "projects/p-1/instances/i-1/tables/t-1"}
    subscription_is_refused(side, pubsub, "bigtable", bigtable_config=config)


TRANSFORM = {"javascript_udf": {"function_name": "f", "code": "function f(m, n) {return m}"}}


@unsupported(
    "A subscription transforms messages.",
    docs="Single Message Transforms",
    ours=REFUSED,
    google="taken, nothing is transformed",
    observed=True,
)
def test_transforms_of_a_subscription(side: str, pubsub: PubSub) -> None:
    subscription_is_refused(side, pubsub, "transform", message_transforms=[TRANSFORM])


@unsupported(
    "A topic transforms messages.",
    docs="Single Message Transforms",
    ours=REFUSED,
    google="taken, nothing is transformed",
    observed=True,
)
def test_transforms_of_a_topic(side: str, pubsub: PubSub) -> None:
    topic_is_refused(side, pubsub, "transform", message_transforms=[TRANSFORM])


@unsupported(
    "A topic takes messages from another service.",
    docs="Import topics",
    ours=REFUSED,
    google="taken, nothing is read",
    observed=True,
)
def test_ingestion(side: str, pubsub: PubSub) -> None:
    source = {"cloud_storage": {"bucket": "bucket", "text_format": {}}}
    topic_is_refused(side, pubsub, "ingestion", ingestion_data_source_settings=source)


@unsupported(
    "An unsupported method is a 4xx over REST, with the status UNIMPLEMENTED: clients try a 501 "
    "again.",
    docs="Not documented",
    google="200",
)
def test_rest(pubsub: PubSub) -> None:
    body = {"topic": pubsub.topic(), "bigqueryConfig": {"table": "p.d.t"}}

    answer = pubsub.rest("PUT", pubsub.name("subscriptions"), body)

    assert 400 <= answer.status < 500
    assert json.loads(answer.body)["error"]["status"] == "UNIMPLEMENTED"
