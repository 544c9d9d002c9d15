"""An archive: letters as lines of JSON, with everything that is needed to publish them again."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Content, Letter
from ucam_faas.exceptions import ConfigurationError

_TEXTS = (
    *("id", "kind", "state", "task", "subscription", "keeper", "message_id", "original_id", "job"),
    *("reason", "error", "fingerprint", "attempts", "replays", "note", "by", "edited"),
)
_TIMES = ("first_attempt", "last_attempt", "time", "sent")


def archive(book: Book, chosen: Filter, path: Path) -> list[str]:
    """Write all letters that a filter chooses to a new file, and return their ids.

    Without any, there is no file.

    Args:
        book: has the letters.
        chosen: chooses them.
        path: of the file, which only its owner can read.

    Raises:
        ConfigurationError: the file exists, or can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigurationError(f"{path} exists: name a new file.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written ({error.strerror}).") from error
    ids = []
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            for letter, line in _lines(book, chosen):
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
                ids.append(letter.id)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        _remove(path)
        raise ConfigurationError(f"{path} can't be written ({error.strerror}).") from error
    except BaseException:
        _remove(path)
        raise
    if not ids:
        _remove(path)
    return ids


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _lines(book: Book, chosen: Filter) -> Iterator[tuple[Letter, dict[str, Any]]]:
    for letter in book.each(chosen):
        line = {name: getattr(letter, name) for name in _TEXTS}
        line |= {name: _time(getattr(letter, name)) for name in _TIMES}
        line["message"] = _message(book.content(letter))
        line["dead_letter"] = _message(Content(letter.data, letter.attributes, letter.key))
        yield letter, line


def _message(content: Content) -> dict[str, Any]:
    """Return a message as Pub/Sub's `publish` takes it."""
    message: dict[str, Any] = {
        "data": b64encode(content.data).decode(),
        "attributes": dict(content.attributes),
    }
    if content.key:
        message["orderingKey"] = content.key
    return message


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
