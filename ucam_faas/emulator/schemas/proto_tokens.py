"""The tokens of a .proto file, read one after the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NoReturn

from ucam_faas.emulator.schemas.definitions import DefinitionError

_TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>\.?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<number>(?:0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fF]?)
    |(?P<symbol>[{}\[\]()<>=;,:/+-])""",
    re.DOTALL | re.VERBOSE,
)


class Tokens:
    """The place in a text up to which it is read.

    Each method that reads raises DefinitionError if the text has something else there.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def after_next(self) -> str:
        """The token behind the next one; empty at the end."""
        return self._tokens[self._at + 1][1] if self.next else ""

    @property
    def next(self) -> str:
        """The token to be read; empty at the end."""
        return self._tokens[self._at][1]

    def fail(self, expected: str) -> NoReturn:
        """Refuse the next token.

        Raises:
            DefinitionError: with its line.
        """
        line, token = self._tokens[self._at]
        raise DefinitionError(f"line {line}: expected {expected}, found {token or 'the end'!r}")

    def take(self) -> str:
        """Read a token, whatever it is."""
        token = self.next
        if not token:
            self.fail("more")
        self._at += 1
        return token

    def skip(self, token: str) -> bool:
        """Read this token if it is next; False: it isn't."""
        if self.next != token:
            return False
        self._at += 1
        return True

    def expect(self, *tokens: str) -> None:
        """Read these tokens."""
        for token in tokens:
            if not self.skip(token):
                self.fail(repr(token))

    def name(self, *, full: bool = False) -> str:
        """Read a name; a full one may have dots."""
        if not re.fullmatch(r"\.?[A-Za-z_][\w.]*" if full else r"[A-Za-z_]\w*", self.next):
            self.fail("a name")
        return self.take()

    def integer(self) -> int:
        """Read a number, with its sign."""
        sign = -1 if self.skip("-") else 1
        token = self.next
        try:
            value = int(token, 8 if re.fullmatch(r"0\d+", token) else 0)
        except ValueError:
            self.fail("a number")
        self.take()
        return sign * value

    def string(self) -> str:
        """Read a string, without its quotes."""
        if self.next[:1] not in ('"', "'"):
            self.fail("a string")
        parts = []
        while self.next[:1] in ('"', "'"):  # as in C, neighbours are one
            parts.append(_unquoted(self.take()))
        return "".join(parts)


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Return the line and the text of each token; the last is empty."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise DefinitionError(f"line {line}: unexpected {text[at]!r}")
        if match.lastgroup != "space":
            yield line, match[0]
        line += match[0].count("\n")
        at = match.end()
    yield from [(line, "")] * 2


def _unquoted(token: str) -> str:
    try:
        return str(ast.literal_eval(token))
    except (ValueError, SyntaxError) as error:
        raise DefinitionError(f"{token} isn't a string") from error
