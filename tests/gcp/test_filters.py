"""Pub/Sub's filter language, as Google's page "Filter messages from a subscription" has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from ucam_faas.gcp.filters import MAX_FILTER_BYTES, FilterError, parse

COM = {"name": "com"}
NET = {"name": "net", "iana.org/language_tag": "en"}
NONE: dict[str, str] = {}


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("attributes:name", [COM, NET]),
        ("NOT attributes:name", [NONE]),
        ('attributes.name = "com"', [COM]),
        ('attributes.name != "com"', [NET, NONE]),
        ('hasPrefix(attributes.name, "co")', [COM]),
        ('NOT hasPrefix(attributes.name, "co")', [NET, NONE]),
        ('hasPrefix(attributes.name, "")', [COM, NET]),
        ('attributes:"iana.org/language_tag" AND NOT attributes.name = "com"', [NET]),
        ('attributes.name = "com" AND -attributes:"iana.org/language_tag"', [COM]),
        (
            'attributes:"iana.org/language_tag" AND '
            '(attributes.name = "net" OR attributes.name = "org")',
            [NET],
        ),
        ('attributes."iana.org/language_tag" = "en"', [NET]),
        ('attributes.name="com"OR attributes.name="net"', [COM, NET]),
        (' ( attributes . name = "com" ) ', [COM]),
        ("attributes: name", [COM, NET]),
        ("NOT(attributes:name OR attributes:other)", [NONE]),
        ("NOT NOT attributes:name", [COM, NET]),
        ("NOT -attributes:name", [COM, NET]),
        ('attributes.name = "COM"', []),
        ("attributes:NAME", []),
    ],
)
def test_a_documented_expression_matches_what_it_says(
    text: str, matched: list[dict[str, str]]
) -> None:
    matches = parse(text)

    assert [attributes for attributes in (COM, NET, NONE) if matches(attributes)] == matched


def test_not_binds_closer_than_and() -> None:
    matches = parse("NOT attributes:a AND attributes:b")

    assert matches({"b": ""})
    assert not matches({})


def test_a_negated_group_is_negated_as_a_whole() -> None:
    matches = parse("attributes:c OR NOT (attributes:a AND attributes:b)")

    assert matches({"a": ""})
    assert not matches({"a": "", "b": ""})
    assert matches({"a": "", "b": "", "c": ""})


@pytest.mark.parametrize("key", ["attributes", "AND", "NOT", "hasPrefix", "a-b", "-a", "_", "7"])
def test_a_bare_key_may_be_any_word(key: str) -> None:
    assert parse(f"attributes:{key}")({key: ""})
    assert not parse(f"-attributes:{key}")({key: ""})


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r"\u307F\u3093\u306A", "みんな"),
        ("みんな", "みんな"),
        (r"\U0001F600", "😀"),
        (r"\x41\x7e", "A~"),
        (r"\101\012\377", "A\n\xff"),
        (r"\"\\\'\`\?", "\"\\'`?"),
        (r"\a\b\f\n\r\t\v", "\a\b\f\n\r\t\v"),
        ("it's (AND) it", "it's (AND) it"),
        ("", ""),
    ],
)
def test_a_string_is_unescaped(literal: str, value: str) -> None:
    assert parse(f'attributes.k = "{literal}"')({"k": value})
    assert parse(f'attributes:"{literal}"')({value: ""})


@pytest.mark.parametrize(
    ("text", "position", "piece", "expected"),
    [
        ("", 1, "the end", "attributes"),
        (" \n ", 4, "the end", "attributes"),
        ('"com" = attributes.name', 1, "'\"com\"'", "attributes"),
        ("attributes.name = attributes.website", 19, "'attributes'", "double quotes"),
        ("attributes.name = 'com'", 19, '"\'"', "double quotes"),
        (r"attributes:\u307F", 12, r"'\\u'", "a key"),
        ("attributes:みんな", 12, "'み'", "a key"),
        ("attributes:a AND attributes:b OR attributes:c", 31, "'OR'", "parentheses"),
        ("attributes:a OR attributes:b AND attributes:c", 30, "'AND'", "parentheses"),
        ("(attributes:a OR attributes:b) AND attributes:c OR attributes:d", 49, "'OR'", "AND"),
        ('attributes.name = "com" AND ("net" OR "org")', 30, "'\"net\"'", "attributes"),
        ("attributes:a and attributes:b", 14, "'and'", "capitals"),
        ("not attributes:a", 1, "'not'", "NOT"),
        ("NOTattributes:a", 1, "'NOTattributes'", "NOT"),
        ("attributes:a ANDattributes:b", 14, "'ANDattributes'", "AND"),
        ("attributes:a AND", 17, "the end", "attributes"),
        ("attributes:a attributes:b", 14, "'attributes'", "AND"),
        ("(attributes:a", 14, "the end", ")"),
        ("attributes:a)", 13, "')'", "AND"),
        ("()", 2, "')'", "attributes"),
        ("attributes", 11, "the end", "attributes:KEY"),
        ("attributes.a", 13, "the end", "= or !="),
        ('attributes.a.b = "x"', 13, "'.'", "= or !="),
        ('attributes:a = "x"', 14, "'='", "AND"),
        ('attributes.a == "x"', 15, "'='", "double quotes"),
        ('attributes.a = "x', 18, "the end", 'closing "'),
        ('attributes.a = "x\ny"', 18, r"'\n'", 'closing "'),
        (r'attributes.a = "\q"', 17, r"'\\q'", "an escape"),
        (r'attributes.a = "\777"', 17, r"'\\7'", "an escape"),
        (r'attributes.a = "\ud83d\ude00"', 17, r"'\\u'", "an escape"),
        (r'attributes.a = "\U00110000"', 17, r"'\\U'", "an escape"),
        ('hasSuffix(attributes.a, "x")', 1, "'hasSuffix'", "hasPrefix"),
        ('hasPrefix(attributes:a, "x")', 21, "':'", "'.'"),
        ('hasPrefix(attributes.a "x")', 24, "'\"x\"'", "','"),
        ('hasPrefix("x", attributes.a)', 11, "'\"x\"'", "'attributes'"),
        ("data = 1", 1, "'data'", "attributes"),
    ],
)
def test_what_is_no_filter_is_refused_with_place_and_expectation(
    text: str, position: int, piece: str, expected: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)

    error = caught.value
    assert (error.position, error.piece) == (position, piece)
    assert expected in error.expected
    assert f"at character {position}: found {piece}, expected " in str(error)


def of_size(size: int, letter: str = "x") -> str:
    frame = 'attributes.k="{}"'
    room, width = size - len(frame) + 2, len(letter.encode())
    return frame.format(letter * (room // width) + "x" * (room % width))


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_filter_has_at_most_256_bytes(letter: str) -> None:
    parse(of_size(MAX_FILTER_BYTES, letter))

    with pytest.raises(FilterError, match=r"257 bytes.*at most 256 bytes"):
        parse(of_size(MAX_FILTER_BYTES + 1, letter))


@pytest.mark.parametrize("opening", ["(", "-(", "NOT("])
def test_a_filter_may_nest_as_deep_as_its_size_allows(opening: str) -> None:
    core = "attributes:k"
    depth = (MAX_FILTER_BYTES - len(core)) // (len(opening) + 1)

    matches = parse(opening * depth + core + ")" * depth)

    assert matches({"k": ""}) is (opening == "(" or depth % 2 == 0)


# --- against an evaluator of our own: trees with their text and their value

KEYS = ["a", "b", "a-b", "AND", "x/y", 'q"\\', "é", " "]
VALUES = ["", "x", "xy", "y", 'q"\\', "\n", "é😀", "AND"]
Tree = tuple[Any, ...]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def written_key(key: str) -> str:
    return key if all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else quoted(key)


def written(tree: Tree) -> str:
    match tree:
        case ("has", key):
            return f"attributes:{written_key(key)}"
        case ("prefix", key, value):
            return f"hasPrefix(attributes.{written_key(key)}, {quoted(value)})"
        case ("=" | "!=" as operator, key, value):
            return f"attributes.{written_key(key)} {operator} {quoted(value)}"
        case ("not", sign, inner):
            return sign + written(inner)
        case (operator, *terms):
            return f"({f' {operator} '.join(written(term) for term in terms)})"
    raise AssertionError(tree)


def comes_to(tree: Tree, attributes: dict[str, str]) -> bool:
    match tree:
        case ("has", key):
            return key in attributes
        case ("prefix", key, value):
            return key in attributes and attributes[key][: len(value)] == value
        case ("=", key, value):
            return (key, value) in attributes.items()
        case ("!=", key, value):
            return (key, value) not in attributes.items()
        case ("not", _, inner):
            return not comes_to(inner, attributes)
        case ("AND", *terms):
            return False not in [comes_to(term, attributes) for term in terms]
        case ("OR", *terms):
            return True in [comes_to(term, attributes) for term in terms]
    raise AssertionError(tree)


keys, values = st.sampled_from(KEYS), st.sampled_from(VALUES)
leaves: st.SearchStrategy[Tree] = st.one_of(
    st.tuples(st.just("has"), keys),
    st.tuples(st.sampled_from(["prefix", "=", "!="]), keys, values),
)


def grow(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    terms = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        st.tuples(st.just("not"), st.sampled_from(["NOT ", "-"]), inner),
        st.builds(
            lambda operator, terms: (operator, *terms), st.sampled_from(["AND", "OR"]), terms
        ),
    )


trees = st.recursive(leaves, grow, max_leaves=5).filter(
    lambda tree: len(written(tree).encode()) <= MAX_FILTER_BYTES
)


@pytest.mark.slow
@given(tree=trees, attributes=st.dictionaries(keys, values, max_size=4))
def test_a_filter_comes_to_what_its_tree_says(tree: Tree, attributes: dict[str, str]) -> None:
    text = written(tree)

    assert parse(text)(attributes) is comes_to(tree, attributes)
    if tree[0] in ("AND", "OR"):  # the outermost parentheses are not needed
        assert parse(text[1:-1])(attributes) is comes_to(tree, attributes)


WORDS = ["attributes", "hasPrefix", "AND", "OR", "NOT", "a", '"x"', "é", "\ud83d"]
pieces = st.sampled_from([*WORDS, *':.=-(),"\\ \n', "!="])


def position_of_error(text: str) -> int | None:
    try:
        parse(text)({})
    except FilterError as error:
        return error.position
    return None


@pytest.mark.slow
@given(text=st.one_of(st.text(max_size=300), st.lists(pieces, max_size=40).map("".join)))
def test_any_text_is_a_filter_or_a_filter_error_in_it(text: str) -> None:
    assert position_of_error(text) in (None, *range(1, len(text) + 2))


@pytest.mark.slow
@given(tree=trees, data=st.data())
def test_a_filter_with_a_part_cut_out_is_no_crash(tree: Tree, data: st.DataObject) -> None:
    text = written(tree)
    start = data.draw(st.integers(0, len(text)))
    cut = text[:start] + text[data.draw(st.integers(start, len(text))) :]

    assert position_of_error(cut) in (None, *range(1, len(cut) + 2))
