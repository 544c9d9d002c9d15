"""The store of large payloads and results: a port, and its adapters.

Every adapter passes `tests/contract/payload_store_contract.py`. An object is written once, before
the row that refers to it, and removed with that row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ucam_faas.exceptions import ConfigurationError


class PayloadStore(Protocol):
    """Keeps objects by name.

    Every method raises JobStoreError if the store doesn't answer, or refuses.
    """

    def put(self, name: str, data: bytes) -> None:
        """Write an object, wholly or not at all, in place of one that has its name."""

    def get(self, name: str) -> bytes | None:
        """Return an object; None: there is none."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove the objects of these names that are there."""


def connect(place: str) -> PayloadStore:
    """Return the store that UCAM_FAAS_PAYLOADS names.

    Raises:
        ConfigurationError: it isn't one that is known.
        MissingExtraError: google-cloud-storage isn't installed.
    """
    if place.startswith("file:") and place != "file:":
        from ucam_faas.jobs.payloads.directory import Directory

        return Directory(place.removeprefix("file:"))
    if place.startswith("gs://") and "/" not in place[5:].rstrip("/") and place[5:].rstrip("/"):
        from ucam_faas.jobs.payloads.bucket import Bucket

        return Bucket(place[5:].rstrip("/"))
    raise ConfigurationError(
        f"UCAM_FAAS_PAYLOADS is {place!r}: expected gs://BUCKET, or file:DIRECTORY."
    )
