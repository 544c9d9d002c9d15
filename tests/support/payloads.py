"""The objects in a payload store, as its owner would list them."""

from __future__ import annotations

from ucam_faas.jobs.payloads import PayloadStore
from ucam_faas.jobs.payloads.bucket import Bucket
from ucam_faas.jobs.payloads.directory import Directory


def names_in(payloads: PayloadStore) -> list[str]:
    """Return the names of the objects."""
    if isinstance(payloads, Directory):
        return sorted(path.name for path in payloads._path.glob("*"))
    assert isinstance(payloads, Bucket)
    return sorted(blob.name for blob in payloads._bucket().list_blobs())
