"""Dead letters are tried with new code: some are fixed, the others still fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.dead_letters.test_parser import SHOP
from ucam_faas.dead_letters.letters import Content, Kind, Letter
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.dead_letters.tries import Tried, Verdict, tries

pytestmark = pytest.mark.slow

LETTER = Letter(id="k/1", kind=Kind.MESSAGE, task="order", fingerprint="1:a", time=0, sent=0)
FREE = b'{"items": [{"sku": "a", "price": 0}]}'


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parser]:
    path = tmp_path_factory.mktemp("shop") / "main.py"
    path.write_text(SHOP)
    with Parser([str(path)], may_run=True, call_seconds=1.0) as parser:
        yield parser


def letter(data: bytes, task: str = "order", error: str = "invalid_payload: items") -> Letter:
    return replace(LETTER, task=task, data=data, error=error)


def tried(parser: Parser, *letters: Letter, run: bool = False) -> list[Tried]:
    return list(tries(letters, parser, run=run))


def test_the_code_takes_some_letters_and_others_still_fail(parser: Parser) -> None:
    first, second, third = tried(
        parser,
        letter(b'{"items": [{"sku": "a"}]}'),
        letter(b'{"items": [{}, {}]}'),
        letter(b"", "oder"),
    )

    assert (first.verdict, first.text) == (Verdict.FIXED, "")
    assert second.verdict is Verdict.FAILING
    assert second.text == "items.0.sku: Field required, and 1 more"
    assert third.verdict is Verdict.UNKNOWN


def test_the_diff_shows_how_the_code_reads_the_payload(parser: Parser) -> None:
    (result,) = tried(
        parser, letter(b'{"items": [{"sku": "a", "price": "3"}, {"sku": "b"}], "c": {}}')
    )

    assert result.diff == (
        '- items.0.price: "3"',
        "+ items.0.price: 3",
        "+ items.1.price: 1",
        "- c: {}",
    )


def test_a_long_diff_is_cut(parser: Parser) -> None:
    (result,) = tried(parser, letter(b'{"items": [%b{"sku": "a"}]}' % (b'{"sku": "a"},' * 999)))

    assert len(result.diff) == 101
    assert result.diff[-1] == "and 900 more"


def test_a_payload_that_was_never_rejected_is_untested_until_the_function_runs(
    parser: Parser,
) -> None:
    failed = letter(FREE, error="ZeroDivisionError at shop.order")

    (read,) = tried(parser, failed)
    (ran,) = tried(parser, failed, run=True)

    assert read.verdict is Verdict.UNTESTED
    assert ran.verdict is Verdict.FAILING


def test_functions_run_only_if_that_is_asked_for(parser: Parser) -> None:
    (read,) = tried(parser, letter(FREE))
    (ran,) = tried(parser, letter(FREE), run=True)

    assert (read.verdict, read.ran) == (Verdict.FIXED, None)
    assert (ran.verdict, ran.text) == (Verdict.FAILING, "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("data", "text"), [(b"slow", "took more than 1 s"), (b"exit", "ended the process")]
)
def test_a_letter_that_stops_the_code_fails_and_the_next_one_is_tried(
    parser: Parser, data: bytes, text: str
) -> None:
    stopped, raw = tried(parser, letter(data, "chosen"), letter(b"", "raw"))

    assert stopped.verdict is Verdict.FAILING
    assert text in stopped.text
    assert raw.verdict is Verdict.FIXED


def test_the_edits_of_a_letter_are_tried(parser: Parser) -> None:
    content = Content(b'{"items": []}', {})

    (result,) = tries([letter(b"{")], parser, content_of=lambda _: content)

    assert result.verdict is Verdict.FIXED
