"""Filters: which messages they let through, and which filters are refused."""

from __future__ import annotations

import pytest

from tests.contract.behaviours import Group

from .backends import PubSub, refused

filters = Group("Filters")

Attributes = dict[str, str]


def let_through(pubsub: PubSub, text: str, *messages: Attributes) -> list[Attributes]:
    """Return those of the messages that a subscription with this filter gets."""
    topic = pubsub.topic()
    filtered = pubsub.subscription(topic, filter=text)
    pubsub.publish(topic, *({"data": b"x", "attributes": attributes} for attributes in messages))
    received = pubsub.pull_now(filtered, wait=2)
    return [
        attributes
        for attributes in messages
        if attributes in (dict(x.message.attributes) for x in received)
    ]


COM, ORG, NONE = {"domain": "com"}, {"domain": "org"}, {"other": "com"}
BOTH = {"domain": "com", "lang": "en"}


@filters(
    "`attributes:k` matches messages with the attribute.",
    docs="Filter messages",
    google="every message comes",
)
def test_has(pubsub: PubSub) -> None:
    assert let_through(pubsub, "attributes:domain", COM, NONE, ORG) == [COM, ORG]


@filters(
    '`attributes.k = "v"` matches the value.', docs="Filter messages", google="every message comes"
)
def test_equal(pubsub: PubSub) -> None:
    assert let_through(pubsub, 'attributes.domain = "com"', COM, ORG, NONE) == [COM]


@filters(
    "Keys and values are compared with their case.",
    docs="Filter messages",
    google="every message comes",
)
def test_case(pubsub: PubSub) -> None:
    others = [{"domain": "COM"}, {"Domain": "com"}]

    assert let_through(pubsub, 'attributes.domain = "com"', COM, *others) == [COM]


@filters(
    '`attributes.k != "v"` matches other values, and messages without the attribute.',
    docs="Filter messages",
    google="every message comes",
)
def test_not_equal(pubsub: PubSub) -> None:
    assert let_through(pubsub, 'attributes.domain != "com"', COM, ORG, NONE) == [ORG, NONE]


@filters(
    '`hasPrefix(attributes.k, "p")` matches the beginning of a value.',
    docs="Filter messages",
    google="every message comes",
)
def test_has_prefix(pubsub: PubSub) -> None:
    company = {"domain": "co"}

    passed = let_through(pubsub, 'hasPrefix(attributes.domain, "co")', COM, company, ORG, NONE)

    assert passed == [COM, company]


@filters("`NOT` turns a condition round.", docs="Filter messages", google="every message comes")
def test_not(pubsub: PubSub) -> None:
    assert let_through(pubsub, "NOT attributes:domain", COM, NONE) == [NONE]


@filters(
    "`NOT` goes before hasPrefix and parentheses too.",
    docs="Filter messages",
    google="every message comes",
)
@pytest.mark.parametrize(
    "text",
    [
        'NOT hasPrefix(attributes.domain, "co")',
        'NOT (attributes:lang OR attributes.domain = "com")',
    ],
)
def test_not_of_more(pubsub: PubSub, text: str) -> None:
    assert let_through(pubsub, text, COM, ORG, BOTH) == [ORG]


@filters("`-` is another way to write NOT.", docs="Filter messages", google="every message comes")
def test_minus(pubsub: PubSub) -> None:
    assert let_through(pubsub, "-attributes:domain", COM, NONE) == [NONE]


@filters("`AND` needs both conditions.", docs="Filter messages", google="every message comes")
def test_and(pubsub: PubSub) -> None:
    text = 'attributes.domain = "com" AND attributes:lang'

    assert let_through(pubsub, text, COM, BOTH, {"lang": "en"}) == [BOTH]


@filters("`OR` needs one of them.", docs="Filter messages", google="every message comes")
def test_or(pubsub: PubSub) -> None:
    text = 'attributes.domain = "org" OR attributes:lang'

    assert let_through(pubsub, text, COM, ORG, BOTH) == [ORG, BOTH]


@filters(
    "Several ANDs or several ORs need no parentheses.",
    docs="Filter messages",
    google="every message comes",
)
def test_chains(pubsub: PubSub) -> None:
    text = 'attributes.a = "1" OR attributes.b = "1" OR attributes.c = "1"'
    messages = [{"a": "1"}, {"b": "1"}, {"c": "1"}, {"d": "1"}]

    assert let_through(pubsub, text, *messages) == messages[:3]


@filters(
    "AND and OR are mixed with parentheses.", docs="Filter messages", google="every message comes"
)
def test_parentheses(pubsub: PubSub) -> None:
    text = 'attributes:lang AND (attributes.domain = "com" OR attributes.domain = "net")'
    french = {"domain": "org", "lang": "fr"}

    assert let_through(pubsub, text, BOTH, COM, french) == [BOTH]


@filters(
    "AND and OR are not mixed without parentheses.",
    docs="Filter messages",
    google="takes any filter",
)
def test_no_parentheses(pubsub: PubSub) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, filter="attributes:a AND attributes:b OR attributes:c")


@filters(
    "A key with other characters than letters, digits, `-` and `_` is quoted.",
    docs="Filter messages",
    google="every message comes",
)
@pytest.mark.parametrize("key", ["iana.org/language_tag", "a b", "みんな", "a:b"])
def test_quoted_key(pubsub: PubSub, key: str) -> None:
    message = {key: "en"}

    assert let_through(pubsub, f'attributes:"{key}"', message, COM) == [message]
    assert let_through(pubsub, f'attributes."{key}" = "en"', message, COM) == [message]


@filters(
    "A key with other characters is refused without quotes.",
    docs="Filter messages",
    google="takes any filter",
)
@pytest.mark.parametrize("key", ["a b", "a/b", "a:b", "a.b"])
def test_unquoted_key(pubsub: PubSub, key: str) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, filter=f'attributes.{key} = "x"')


@filters(
    "A key with `-` or `_` needs no quotes.", docs="Filter messages", google="every message comes"
)
def test_dashes(pubsub: PubSub) -> None:
    message = {"a-b_c": "1"}

    assert let_through(pubsub, 'attributes.a-b_c = "1"', message, COM) == [message]


@filters(
    "Quotes, backslashes and code points are escaped in strings.",
    docs="Filter messages",
    google="every message comes",
)
@pytest.mark.parametrize(
    ("text", "value"), [(r"\"", '"'), (r"\\", "\\"), (r"\u307F", "み"), (r"\x41", "A")]
)
def test_escapes(pubsub: PubSub, text: str, value: str) -> None:
    message = {"a": value}

    assert let_through(pubsub, f'attributes.a = "{text}"', message, {"a": text}) == [message]


@filters(
    "A message that does not match is acknowledged: it does not come later.",
    docs="Filter messages",
    google="every message comes",
)
def test_acknowledged(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, filter="attributes:a")
    pubsub.publish(topic, b"no match", {"data": b"match", "attributes": {"a": "1"}})

    received = pubsub.pull(subscription)
    pubsub.acknowledge(subscription, *received)

    assert [delivery.message.data for delivery in received] == [b"match"]
    assert pubsub.pull_now(subscription) == []


@filters("A filter has at most 256 bytes.", docs="Filter messages", google="takes any filter")
def test_length(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    frame = 'attributes.a = "{}"'
    room = 256 - len(frame.format(""))

    pubsub.subscription(topic, filter=frame.format("x" * room))
    for value in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with refused():
            pubsub.subscription(topic, filter=frame.format(value))


WRONG = [
    "domain",
    "attributes",
    "attributes.domain",
    "attributes.domain = com",
    "attributes.domain = 'com'",
    'attributes.domain == "com"',
    'attributes.domain > "com"',
    'attributes.domain = "com',
    "attributes:",
    "(attributes:a",
    "attributes:a)",
    "attributes:a AND",
    "AND attributes:a",
    "attributes:a and attributes:b",
    "attributes:a attributes:b",
    'hasSuffix(attributes.a, "x")',
    "hasPrefix(attributes.a)",
    'hasPrefix(attributes:a, "x")',
    'data = "x"',
    "NOT",
]


@filters(
    "A text that isn't a filter is INVALID_ARGUMENT.",
    docs="Filter messages",
    google="takes any filter",
)
@pytest.mark.parametrize("text", WRONG)
def test_wrong(pubsub: PubSub, text: str) -> None:
    topic = pubsub.topic()

    with refused():
        pubsub.subscription(topic, filter=text)
