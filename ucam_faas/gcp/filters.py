"""Pub/Sub's filter language: from the text of a subscription's filter to a test of attributes.

Source: Google's page "Filter messages from a subscription". What it does not document (single
quotes, `attributes:k = "v"`, lower-case operators) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

MAX_FILTER_BYTES = 256

Matcher = Callable[[Mapping[str, str]], bool]
"""Returns True if a message with these attributes is delivered."""


class FilterError(ValueError):
    """A text is not a filter.

    Args:
        position: of the text found, in characters; the first is 1.
        piece: a piece of the text, in quotes; or another reason.
        expected: the right text at that place.
    """

    def __init__(self, *, position: int, piece: str, expected: str) -> None:
        super().__init__(f"at character {position}: found {piece}, expected {expected}")
        self.position = position
        self.piece = piece
        self.expected = expected


def parse(text: str) -> Matcher:
    """Return the function that applies a filter to attributes.

    Raises:
        FilterError: it is blank, too long, or not in the language.

    >>> matches = parse('attributes:lang AND NOT hasPrefix(attributes.domain, "co")')
    >>> matches({"lang": "en", "domain": "net"}), matches({"lang": "en", "domain": "com"})
    (True, False)
    >>> parse("hasPrefix")
    Traceback (most recent call last):
    ...
    ucam_faas.gcp.filters.FilterError: at character 10: found the end, expected '('
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_FILTER_BYTES:
        piece, expected = f"{size} bytes", f"at most {MAX_FILTER_BYTES} bytes in UTF-8"
        raise FilterError(position=1, piece=piece, expected=expected)
    scanner = _Scanner(text)
    groups = [_Group()]
    while True:  # groups are a list, not calls: 256 bytes nest deeper than Python's stack
        negated = _negated(scanner)
        if scanner.take("("):
            groups.append(_Group(negated))
            continue
        groups[-1].terms.append(_signed(_comparison(scanner), negated))
        while len(groups) > 1 and scanner.take(")"):
            closed = groups.pop()
            groups[-1].terms.append(_signed(closed.matcher(), closed.negated))
        if scanner.at_end():
            break
        groups[-1].join(scanner)
    if len(groups) > 1:
        scanner.fail("AND, OR or )")
    return groups[0].matcher()


@dataclass(slots=True)
class _Group:
    """The text between two parentheses: terms, all joined by AND or all by OR."""

    negated: bool = False
    joined_by: str | None = None
    terms: list[Matcher] = field(default_factory=list)

    def join(self, scanner: _Scanner) -> None:
        """Take the operator before the next term."""
        operator = next((name for name in ("AND", "OR") if scanner.take(name)), None)
        if operator is None:
            scanner.fail(
                "AND, OR or the end (operators are in capitals, keys in quotes if need be)"
            )
        if self.joined_by not in (None, operator):
            scanner.back()
            scanner.fail(f"{self.joined_by}: parentheses are needed to mix AND and OR")
        self.joined_by = operator

    def matcher(self) -> Matcher:
        """Join the terms."""
        if len(self.terms) == 1:
            return self.terms[0]
        terms, join = tuple(self.terms), all if self.joined_by == "AND" else any
        return lambda attributes: join(term(attributes) for term in terms)


def _negated(scanner: _Scanner) -> bool:
    negated = False
    while scanner.take("NOT") or scanner.take("-"):
        negated = not negated
    return negated


def _signed(matcher: Matcher, negated: bool) -> Matcher:
    return (lambda attributes: not matcher(attributes)) if negated else matcher


def _comparison(scanner: _Scanner) -> Matcher:
    if scanner.take("hasPrefix"):
        scanner.need("(")
        scanner.need("attributes")
        scanner.need(".")
        key = scanner.key()
        scanner.need(",")
        prefix = scanner.value()
        scanner.need(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)
    if not scanner.take("attributes"):
        scanner.fail("attributes, hasPrefix, NOT, - or (")
    if scanner.take(":"):
        key = scanner.key()
        return lambda attributes: key in attributes
    if not scanner.take("."):
        scanner.fail("attributes:KEY or attributes.KEY")
    key = scanner.key()
    if scanner.take("="):
        value = scanner.value()
        return lambda attributes: attributes.get(key) == value
    if scanner.take("!="):
        value = scanner.value()
        return lambda attributes: attributes.get(key) != value
    scanner.fail("= or != (keys other than A-Z, a-z, 0-9, _ and - are written in double quotes)")


class _Scanner:
    """Reads tokens off a text. The parser knows which may come next: `-` opens a term, and is part
    of a key."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._last = 0

    def take(self, token: str) -> bool:
        """Read this token, if it is next."""
        self._skip_space()
        word = _WORD.match(self.text, self.at)
        next_ = word[0] if word and token.isalpha() else self.text[self.at : self.at + len(token)]
        if next_ != token:
            return False
        self._last = self.at
        self.at += len(token)
        return True

    def back(self) -> None:
        """Put the last token back."""
        self.at = self._last

    def need(self, token: str) -> None:
        """Read this token."""
        if not self.take(token):
            self.fail(repr(token))

    def at_end(self) -> bool:
        """Return True if there is only space left."""
        self._skip_space()
        return self.at == len(self.text)

    def key(self) -> str:
        """Read an attribute's key."""
        self._skip_space()
        bare = _KEY.match(self.text, self.at)
        if bare:
            self.at = bare.end()
            return bare[0]
        return self._string("a key: A-Z, a-z, 0-9, _ and -, or anything in double quotes")

    def value(self) -> str:
        """Read an attribute's value."""
        self._skip_space()
        return self._string("a value in double quotes")

    def fail(self, expected: str) -> NoReturn:
        """Raise FilterError for the next piece of the text."""
        match = _PIECE.match(self.text, self.at)
        piece = repr(match[0][:30]) if match else "the end"
        raise FilterError(position=self.at + 1, piece=piece, expected=expected)

    def _skip_space(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def _string(self, expected: str) -> str:
        if not self.take('"'):
            self.fail(expected)
        parts: list[str] = []
        while piece := _PLAIN.match(self.text, self.at) or _ESCAPE.match(self.text, self.at):
            parts.append(piece[0] if piece.re is _PLAIN else _unescaped(piece))
            self.at = piece.end()
        if not self.text.startswith('"', self.at):
            escape = self.text.startswith("\\", self.at)
            self.fail("an escape: " + _ESCAPES_IN_WORDS if escape else 'the closing " of a string')
        self.at += 1
        return "".join(parts)


_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PIECE = re.compile(r'[A-Za-z0-9_]+|"(?:\\.|[^"\\])*"?|\\.|.', re.DOTALL)
_PLAIN = re.compile(r'[^"\\\x00-\x1f\x7f]+')
_ESCAPE = re.compile(
    r"""\\(?:(?P<octal>[0-3][0-7]{2})|x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})
    |U(?P<U>(?!0000[Dd][89A-Fa-f])00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4})|(?P<letter>[abfnrtv\\?"'`]))
    """,
    re.VERBOSE,
)
_ESCAPES_IN_WORDS = r"\\ \" \' \` \? \a \b \f \n \r \t \v, \ooo, \xhh, \uhhhh or \Uhhhhhhhh"
_LETTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def _unescaped(escape: re.Match[str]) -> str:
    kind, digits = escape.lastgroup, escape[escape.lastgroup or 0]
    if kind == "letter":
        return _LETTERS.get(digits, digits)
    return chr(int(digits, 8 if kind == "octal" else 16))
