"""Words and attributes of messages: the index that finds them, made when there is time for it.

Messages up to the number `indexed` are in it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping

from ucam_faas.history.database import transaction

LONGEST_TEXT, LONGEST_PAIR = 16_384, 300
"""Characters of a message that are searched, and of an attribute."""
_WORD = re.compile(r"\w+")
_Row = tuple[int, str, str, bytes]
"""Of `messages`: seq, key, attributes, data."""


def text_of(key: str, attributes: Mapping[str, str], data: bytes) -> str:
    """Return the text of a message in which words are searched."""
    parts = [key, *(f"{name}={value}" for name, value in attributes.items())]
    text = _decoded(data)
    return "\n".join(filter(None, (*parts, text)))[:LONGEST_TEXT]


def _decoded(data: bytes) -> str:
    """Return data as text; nothing if they aren't text."""
    try:
        text = data[: LONGEST_TEXT * 4].decode()
    except UnicodeDecodeError as error:
        if error.start < LONGEST_TEXT * 4 - 3:
            return ""
        text = data[: error.start].decode()
    if "\\u" in text and len(text) < LONGEST_TEXT:  # JSON of a writer that escapes letters
        try:
            return json.dumps(json.loads(text), ensure_ascii=False)
        except (ValueError, RecursionError):
            pass
    return "" if "\0" in text else text


def pair_of(attribute: str) -> str:
    """Return an attribute, `name=value`, as the index has it."""
    return attribute[:LONGEST_PAIR]


def query_of(text: str) -> str | None:
    """Return the query for all words of a text, the last as the beginning of one; None: no word."""
    words = _WORD.findall(text)
    if not words:
        return None
    quoted = [f'"{word}"' for word in words]
    if len(words[-1]) >= 3 and not text[-1:].isspace():
        quoted[-1] += "*"
    return " ".join(quoted)


def index(database: sqlite3.Connection, limit: int) -> int:
    """Put messages into the index that aren't in it yet, in one transaction; return how many."""
    (indexed,) = database.execute("SELECT value FROM facts WHERE name = 'indexed'").fetchone()
    rows: list[_Row] = database.execute(
        "SELECT seq, key, attributes, data FROM messages WHERE seq > ? ORDER BY seq LIMIT ?",
        (indexed, limit),
    ).fetchall()
    if not rows:
        return 0
    with transaction(database):
        texts, pairs = _entries(rows)
        database.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", texts)
        database.executemany("INSERT OR IGNORE INTO attributes VALUES (?, ?)", pairs)
        database.execute("UPDATE facts SET value = ? WHERE name = 'indexed'", (rows[-1][0],))
    return len(rows)


def drop(database: sqlite3.Connection, rows: Iterable[_Row]) -> None:
    """Take messages out of the index that are in it, within the transaction of the caller."""
    texts, pairs = _entries(rows)
    database.executemany("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", texts)
    database.executemany("DELETE FROM attributes WHERE pair = ? AND message = ?", pairs)


def _entries(rows: Iterable[_Row]) -> tuple[list[tuple[int, str]], list[tuple[str, int]]]:
    texts, pairs = [], []
    for seq, key, written, data in rows:
        attributes: dict[str, str] = json.loads(written)
        texts.append((seq, text_of(key, attributes, data)))
        pairs += [(pair_of(f"{name}={value}"), seq) for name, value in attributes.items()]
    return texts, pairs
