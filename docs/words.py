"""Refuse words that a native engineer would not write, in prose, comments and string literals.

python docs/words.py            # list the hits; exit 1 if there are any
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

PHRASES = {
    r"nobody|somebody|everybody": "name the actor",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"for ever": "forever, or without end",
    r"in vain": "say what happens: is ignored, has no effect",
    r"tell(s|ing)? whether|told whether": "Return True if …",
    r"of ours": "our",
    r"besides": "also, except",
    r"what becomes of": "name the thing: the outcome",
    r"so long(?! as\b)": "until then, or for so many seconds",
    r"stands? (in|on|at|beside|there|above|below|among|before|near|as)": "is",
    r"(?<!there )(is|are|was|were) no(?= \w)(?! (longer|more|less|such|other|better|one)\b)": (
        "negate the verb"
    ),
    r"(has|have|had) not (a|an|the|any|its|their)": "lacks, doesn't have",
    r"(of|for|from|with|by|than|like|and|but|beside|except) what(?! to\b)": "name the thing",
}
"""Refused in every text, whole words in any case; with the advice that a message gives."""

OPENINGS = {
    r"What (?!.*\?)": "open with the noun or the verb: Return the …",
    r"Who(ever)? (?!.*\?)": "name the actor",
}
"""Refused where a docstring, a comment or a paragraph begins."""

NAMES = {"found", "one", "given"}
"""Refused as names of variables and arguments: they take the name of their type or role."""

_PHRASE = re.compile(
    "|".join(rf"(?P<p{i}>\b(?:{text})(?!\w))" for i, text in enumerate(PHRASES)), re.I
)
_ADVICE = dict(enumerate(PHRASES.values()))
_GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
_PARAGRAPH = re.compile(r"(?:\A|\n[ \t]*\n|\n[ \t]*- )[ \t]*(?:- )?(?=\w)")
"""Where a paragraph or an item of a list begins; a heading or a label in bold may be a question."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A refused phrase or name: the file from the root, and the line from 1."""

    path: Path
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r} ({self.advice})"


def hits_of(path: Path, source: str) -> Iterator[Hit]:
    """Yield the hits of a file with this text."""
    if path.suffix not in (".py", ".pyi"):
        source = _GENERATED.sub(lambda match: "\n" * match[0].count("\n"), source)
        opens = path.suffix == ".md"
        yield from (Hit(path, *hit) for hit in _of_text(source, 1, opens=opens))
        return
    yield from (Hit(path, *hit) for hit in _of_comments(source))
    yield from (Hit(path, *hit) for hit in _of_code(ast.parse(source)))


def _of_text(text: str, line: int, *, opens: bool) -> Iterator[tuple[int, str, str]]:
    flat = re.sub(r"\s", " ", text)
    for match in _PHRASE.finditer(flat):
        number = int(str(match.lastgroup)[1:])
        yield line + text.count("\n", 0, match.start()), match[0].strip(), _ADVICE[number]
    if not opens:
        return
    for start in _PARAGRAPH.finditer(text):
        paragraph = text[start.end() :].partition("\n\n")[0].partition("\n")[0]
        for opening, advice in OPENINGS.items():
            if re.match(opening, paragraph):
                yield line + text.count("\n", 0, start.end()), paragraph[:40], advice


def _of_comments(source: str) -> Iterator[tuple[int, str, str]]:
    block: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != block[-1][0] + 1:
                yield from _of_block(block)
                block = []
            block.append((token.start[0], token.string.lstrip("# ")))
    yield from _of_block(block)


def _of_block(block: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    if block:
        yield from _of_text("\n".join(text for _, text in block), block[0][0], opens=True)


def _of_code(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _of_text(node.value, node.lineno, opens=id(node) in docstrings)
        name = _bound(node)
        if name in NAMES:
            yield getattr(node, "lineno", 0), name, "name it after its type or role"


def _bound(node: ast.AST) -> str:
    """Return the name that the node binds, or an empty text."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    return node.arg if isinstance(node, ast.arg) else ""


def files() -> Iterable[Path]:
    """Return the tracked and the new files, without this list and generated code."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    kept = {".py", ".pyi", ".md", ".tf", ".hcl", ".toml", ".yml", ".yaml", ""}
    others = {
        "LICENSE",
        "docs/fidelity.md",
        "docs/words.py",
        "example_tasks/protobuf_orders/orders_pb2.py",
        "tests/test_words.py",
    }
    for name in listed:
        path = Path(name)
        if path.suffix in kept and name not in others and (ROOT / path).exists():
            yield path


def main() -> int:
    """Print the hits."""
    hits = [hit for path in files() for hit in hits_of(path, (ROOT / path).read_text())]
    for hit in hits:
        print(hit)
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
