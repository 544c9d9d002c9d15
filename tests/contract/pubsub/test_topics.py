"""Topics: create, get, update, list, delete, and how long they keep messages."""

from __future__ import annotations

from tests.contract.behaviours import Group

from .backends import PubSub, refused

topics = Group("Topics")

DAY = 24 * 60 * 60


@topics("Creating a topic returns it, with its labels and its retention.", docs="API: Publisher")
def test_create(pubsub: PubSub) -> None:
    name = pubsub.name("topics")

    topic = pubsub.call(
        "create_topic",
        name=name,
        labels={"team": "data"},
        message_retention_duration={"seconds": DAY},
    )

    assert topic.name == name
    assert dict(topic.labels) == {"team": "data"}
    assert topic.message_retention_duration.total_seconds() == DAY


@topics("A topic that exists is not created again: ALREADY_EXISTS.", docs="Error codes")
def test_create_twice(pubsub: PubSub) -> None:
    name = pubsub.topic()

    with refused("ALREADY_EXISTS"):
        pubsub.call("create_topic", name=name)


@topics("Getting a topic returns the fields that it was created with.", docs="API: Publisher")
def test_get(pubsub: PubSub) -> None:
    name = pubsub.topic(labels={"team": "data"})

    topic = pubsub.call("get_topic", topic=name)

    assert (topic.name, dict(topic.labels)) == (name, {"team": "data"})


@topics("A topic that does not exist is NOT_FOUND to get.", docs="Error codes")
def test_get_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("get_topic", topic=pubsub.name("topics"))


@topics("A topic without retention of its own says nothing of retention.", docs="API: Topic")
def test_no_retention(pubsub: PubSub) -> None:
    topic = pubsub.call("get_topic", topic=pubsub.topic())

    assert "message_retention_duration" not in topic


@topics("A topic's state is ACTIVE.", docs="API: Topic", google="STATE_UNSPECIFIED")
def test_state(pubsub: PubSub) -> None:
    topic = pubsub.call("get_topic", topic=pubsub.topic())

    assert topic.state.name == "ACTIVE"


@topics(
    "An update changes the labels if the mask names them.",
    docs="API: Publisher",
    google="INVALID_ARGUMENT: labels cannot be updated",
)
def test_update_labels(pubsub: PubSub) -> None:
    name = pubsub.topic(labels={"team": "data"})

    topic = pubsub.call(
        "update_topic",
        topic={"name": name, "labels": {"stage": "test"}},
        update_mask={"paths": ["labels"]},
    )

    assert dict(topic.labels) == {"stage": "test"}
    assert dict(pubsub.call("get_topic", topic=name).labels) == {"stage": "test"}


@topics("An update changes the retention if the mask names it.", docs="API: Publisher")
def test_update_retention(pubsub: PubSub) -> None:
    name = pubsub.topic()

    pubsub.call(
        "update_topic",
        topic={"name": name, "message_retention_duration": {"seconds": 2 * DAY}},
        update_mask={"paths": ["message_retention_duration"]},
    )

    topic = pubsub.call("get_topic", topic=name)
    assert topic.message_retention_duration.total_seconds() == 2 * DAY


@topics(
    "A masked field that the request leaves out is cleared.",
    docs="API: Publisher",
    google="sets 31 days",
)
def test_update_clears(pubsub: PubSub) -> None:
    name = pubsub.topic(message_retention_duration={"seconds": DAY})

    pubsub.call(
        "update_topic",
        topic={"name": name},
        update_mask={"paths": ["message_retention_duration"]},
    )

    assert "message_retention_duration" not in pubsub.call("get_topic", topic=name)


@topics("An update changes only the fields that the mask names.", docs="API: Publisher")
def test_update_only_what_the_mask_names(pubsub: PubSub) -> None:
    name = pubsub.topic(labels={"team": "data"})

    pubsub.call(
        "update_topic",
        topic={
            "name": name,
            "labels": {"team": "other"},
            "message_retention_duration": {"seconds": DAY},
        },
        update_mask={"paths": ["message_retention_duration"]},
    )

    topic = pubsub.call("get_topic", topic=name)
    assert dict(topic.labels) == {"team": "data"}
    assert topic.message_retention_duration.total_seconds() == DAY


@topics("An update without a mask is INVALID_ARGUMENT.", docs="API: Publisher")
def test_update_without_a_mask(pubsub: PubSub) -> None:
    name = pubsub.topic()

    with refused():
        pubsub.call("update_topic", topic={"name": name, "labels": {"a": "b"}})


@topics("A mask that names no field of a topic is INVALID_ARGUMENT.", docs="API: Publisher")
def test_update_unknown_field(pubsub: PubSub) -> None:
    name = pubsub.topic()

    with refused():
        pubsub.call("update_topic", topic={"name": name}, update_mask={"paths": ["colour"]})


@topics("A topic's name cannot be updated.", docs="API: Publisher")
def test_update_name(pubsub: PubSub) -> None:
    name = pubsub.topic()

    with refused():
        pubsub.call("update_topic", topic={"name": name}, update_mask={"paths": ["name"]})


@topics("A topic that does not exist is NOT_FOUND to update.", docs="Error codes")
def test_update_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call(
            "update_topic",
            topic={"name": pubsub.name("topics"), "message_retention_duration": {"seconds": DAY}},
            update_mask={"paths": ["message_retention_duration"]},
        )


@topics("Listing returns the project's topics.", docs="API: Publisher")
def test_list(pubsub: PubSub) -> None:
    names = {pubsub.topic() for _ in range(3)}

    listed = pubsub.call("list_topics", project=pubsub.project).topics

    assert {topic.name for topic in listed} == names


@topics("A project in which nothing was created lists no topics.", docs="API: Publisher")
def test_list_nothing(pubsub: PubSub) -> None:
    assert list(pubsub.call("list_topics", project=pubsub.project).topics) == []


@topics("A list comes in pages of at most `page_size`, each topic once.", docs="API: Publisher")
def test_list_pages(pubsub: PubSub) -> None:
    names = sorted(pubsub.topic() for _ in range(5))
    listed, sizes, token = [], [], ""

    for _ in range(3):
        pager = pubsub.call("list_topics", project=pubsub.project, page_size=2, page_token=token)
        page = next(iter(pager.pages))
        listed += [topic.name for topic in page.topics]
        sizes.append(len(page.topics))
        token = page.next_page_token

    assert (sorted(listed), sizes, token) == (names, [2, 2, 1], "")


@topics(
    "A page token that no list returned is INVALID_ARGUMENT.",
    docs="Error codes",
    google="takes it as the first page",
)
def test_list_with_a_wrong_token(pubsub: PubSub) -> None:
    pubsub.topic()

    with refused():
        pubsub.call("list_topics", project=pubsub.project, page_token="no such token")


@topics("A topic lists the names of its subscriptions.", docs="API: Publisher")
def test_list_subscriptions(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    names = {pubsub.subscription(topic) for _ in range(2)}
    pubsub.subscription()

    listed = pubsub.call("list_topic_subscriptions", topic=topic)

    assert set(listed.subscriptions) == names


@topics("A topic's subscriptions come in pages too.", docs="API: Publisher")
def test_list_subscriptions_in_pages(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    names = {pubsub.subscription(topic) for _ in range(3)}

    listed = pubsub.call("list_topic_subscriptions", topic=topic, page_size=2)

    assert [len(page.subscriptions) for page in listed.pages] == [2, 1]
    assert set(pubsub.call("list_topic_subscriptions", topic=topic)) == names


@topics(
    "The subscriptions of a topic that does not exist are NOT_FOUND.",
    docs="Error codes",
    google="returns an empty list",
)
def test_list_subscriptions_of_a_missing_topic(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("list_topic_subscriptions", topic=pubsub.name("topics"))


@topics("A deleted topic is NOT_FOUND to get and to publish to.", docs="API: Publisher")
def test_delete(pubsub: PubSub) -> None:
    name = pubsub.topic()

    pubsub.call("delete_topic", topic=name)

    with refused("NOT_FOUND"):
        pubsub.call("get_topic", topic=name)
    with refused("NOT_FOUND"):
        pubsub.publish(name, b"too late")


@topics("A topic that does not exist is NOT_FOUND to delete.", docs="API: Publisher")
def test_delete_missing(pubsub: PubSub) -> None:
    with refused("NOT_FOUND"):
        pubsub.call("delete_topic", topic=pubsub.name("topics"))


@topics(
    "A new topic may take a deleted one's name; the old subscriptions are not its own.",
    docs="API: Publisher",
)
def test_create_after_delete(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    pubsub.call("delete_topic", topic=topic)

    pubsub.topic(name=topic)
    pubsub.publish(topic, b"new")

    assert pubsub.pull_now(subscription) == []
    assert list(pubsub.call("list_topic_subscriptions", topic=topic).subscriptions) == []


@topics("A topic keeps messages for at least 10 minutes, or not by itself.", docs="API: Topic")
def test_shortest_retention(pubsub: PubSub) -> None:
    pubsub.topic(message_retention_duration={"seconds": 600})

    with refused():
        pubsub.topic(message_retention_duration={"seconds": 599})


@topics("A topic keeps messages for at most 31 days.", docs="API: Topic")
def test_longest_retention(pubsub: PubSub) -> None:
    pubsub.topic(message_retention_duration={"seconds": 31 * DAY})

    with refused():
        pubsub.topic(message_retention_duration={"seconds": 31 * DAY + 1})
