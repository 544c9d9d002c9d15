"""Words and attributes of messages: the index that finds them, made when there is time for it.

Messages up to the number `indexed` are in it.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

from ucam_faas.history.database import PLACES, transaction

LONGEST_PREFIX = 5
"""Characters of a word's beginning that has an index; see schema.sql."""
LONGEST_TEXT, LONGEST_PAIR = 16_384, 300
"""Characters of a message that are searched, and of an attribute."""
_WORD = re.compile(r"[^\W_]+")
_Row = tuple[int, str, str, str, bytes, str | None]
"""Of a query that begins with `ROWS`."""
ROWS = f"""
SELECT seq, topic, key, attributes, data,
    (SELECT group_concat(d.task, char(10)) FROM deliveries d
     WHERE d.seq BETWEEN messages.seq * {PLACES} AND messages.seq * {PLACES} + {PLACES - 1})
FROM messages """


def text_of(key: str, attributes: Mapping[str, str], data: bytes, places: Iterable[str]) -> str:
    """Return the text of a message in which words are searched.

    Args:
        key: its ordering key.
        attributes: all of them.
        data: its content, as bytes.
        places: the words of its topic and tasks; see `place_word`.
    """
    parts = [*places, key, *(f"{name}={value}" for name, value in attributes.items())]
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
            whole = json.dumps(json.loads(text), ensure_ascii=False)
            return whole.encode(errors="backslashreplace").decode()  # it may have half a character
        except (ValueError, RecursionError):
            pass
    return "" if "\0" in text else text


def place_word(kind: str, name: str) -> str:
    """Return a word for the messages of a topic, or of a task, that no other text has.

    SQLite then finds the messages of a task that have a word, without reading all others.
    """
    return f"{kind}{zlib.crc32(name.encode()):08x}place"


def pair_of(attribute: str) -> str:
    """Return an attribute, `name=value`, as the index has it."""
    return attribute[:LONGEST_PAIR]


def query_of(text: str, places: Iterable[str] = (), *, longest: int = 0) -> str | None:
    """Return the query for all words of a text, the last as the beginning of one; None: no word.

    Args:
        text: of a person.
        places: further words.
        longest: of a beginning, in characters; what is longer is cut. 0: there is no limit.
    """
    words = _WORD.findall(text)
    if not words:
        return None
    quoted = [f'"{word}"' for word in words]
    if len(words[-1]) >= 3 and not text[-1:].isspace():
        quoted[-1] = f'"{words[-1][: longest or None]}"*'
    return " ".join([*places, *quoted])


def matching(database: sqlite3.Connection, messages: Sequence[int], query: str) -> set[int]:
    """Return those of some messages that a query of words finds, without a look at the others.

    SQLite would put all messages with the beginning of a word together first: a tenth of a second,
    of a million. So these few are put into an index of their own.
    """
    marks = ", ".join("?" * len(messages))
    rows: list[_Row] = database.execute(f"{ROWS} WHERE seq IN ({marks})", messages).fetchall()
    with closing(sqlite3.connect(":memory:")) as small:
        small.execute("CREATE VIRTUAL TABLE words USING fts5 (text, content = '', detail = none)")
        small.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", _entries(rows)[0])
        records = small.execute("SELECT rowid FROM words WHERE words MATCH ?", (query,))
        return {message for (message,) in records}


def index(database: sqlite3.Connection, limit: int) -> int:
    """Put messages into the index that aren't in it yet, in one transaction; return how many."""
    (indexed,) = database.execute("SELECT value FROM facts WHERE name = 'indexed'").fetchone()
    rows: list[_Row] = database.execute(
        f"{ROWS} WHERE seq > ? ORDER BY seq LIMIT ?",
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
    for seq, topic, key, written, data, tasks in rows:
        attributes: dict[str, str] = json.loads(written)
        places = [place_word("task", task) for task in set((tasks or "").split("\n"))]
        places.append(place_word("topic", topic))
        texts.append((seq, text_of(key, attributes, data, places)))
        pairs += [(pair_of(f"{name}={value}"), seq) for name, value in attributes.items()]
    return texts, pairs
