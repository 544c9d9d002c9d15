"""References: the bytes that a row has in place of a large payload or result."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from ucam_faas.jobs.rows import Key, Row, value_of

_MARK = b"\0"
"""Begins a reference: no result does, being JSON. A payload's row says so in its options."""
BY_REFERENCE = "payload"
"""The option of a row whose payload is a reference."""


class Reference(NamedTuple):
    """An object in the payload store.

    Args:
        name: of the object.
        sha256: of its content, in hexadecimal.
        size: in bytes.
    """

    name: str
    sha256: str
    size: int

    def to_bytes(self) -> bytes:
        """Return the bytes that a row has."""
        return _MARK + json.dumps(self._asdict()).encode()


def reference_to(name: str, data: bytes) -> Reference:
    """Return the reference of an object with this content."""
    return Reference(name, hashlib.sha256(data).hexdigest(), len(data))


def prefix_of(key: Key) -> str:
    """Return the beginning of the names of a job's objects."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + "-"


def of_payload(row: Row) -> Reference | None:
    """Return the reference of a row's payload; None: the row has the payload."""
    return _read(row.payload) if BY_REFERENCE in row.options and row.payload else None


def of_result(row: Row) -> Reference | None:
    """Return the reference of a row's result; None: the row has the result, or there is none."""
    return _read(row.result) if row.result is not None and row.result[:1] == _MARK else None


def references(row: Row) -> list[Reference]:
    """Return the references of a row."""
    return [each for each in (of_payload(row), of_result(row)) if each is not None]


def same_payload(row: Row, other: Row) -> bool:
    """Return True if two rows have one payload, wherever it is."""
    if row.payload == other.payload or _digest(row) == _digest(other):
        return True
    if of_payload(row) is not None or of_payload(other) is not None:
        return False
    return bool(value_of(row.payload) == value_of(other.payload))


def _digest(row: Row) -> str:
    reference = of_payload(row)
    return hashlib.sha256(row.payload).hexdigest() if reference is None else reference.sha256


def _read(data: bytes) -> Reference:
    return Reference(**json.loads(data.removeprefix(_MARK)))
