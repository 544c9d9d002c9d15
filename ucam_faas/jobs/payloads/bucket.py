"""Large payloads in a Cloud Storage bucket, an object each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.exceptions import JobStoreError
from ucam_faas.forks import reset_in_child

TIMEOUT_SECONDS = 10.0
"""Of a request; Google's library repeats it within RETRY_SECONDS."""
RETRY_SECONDS = 20.0
_PURPOSE = "keep large payloads in a bucket"
_require = partial(require, extra="storage", purpose=_PURPOSE)


class Bucket:
    """Keeps objects in a bucket.

    Args:
        name: of the bucket.

    Raises:
        MissingExtraError: google-cloud-storage isn't installed.
    """

    def __init__(self, name: str) -> None:
        check("google.cloud.storage", extra="storage", purpose=_PURPOSE)
        self._name = name
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Start without connections: in a forked process, they are the parent's."""
        self._made: Any = None

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._failures():
            self._blob(name).upload_from_string(
                data, content_type="application/octet-stream", **self._limits()
            )

    def get(self, name: str) -> bytes | None:
        """Return an object."""
        with self._failures():
            try:
                content: bytes = self._blob(name).download_as_bytes(**self._limits())
                return content
            except _require("google.api_core.exceptions").NotFound:
                return None

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""
        with self._failures():
            for name in names:
                try:
                    self._blob(name).delete(**self._limits())
                except _require("google.api_core.exceptions").NotFound:
                    continue

    def _blob(self, name: str) -> Any:
        return self._bucket().blob(name)

    def _bucket(self) -> Any:
        """Return the client's bucket, made at first use: the library is heavy."""
        if self._made is None:
            self._made = _require("google.cloud.storage").Client().bucket(self._name)
        return self._made

    def _limits(self) -> dict[str, Any]:
        """Return the arguments of a request; each is safe to repeat: an object is written once."""
        retry = _require("google.cloud.storage.retry").DEFAULT_RETRY
        return {"timeout": TIMEOUT_SECONDS, "retry": retry.with_timeout(RETRY_SECONDS)}

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except JobStoreError:
            raise
        except Exception as error:  # authentication, transport and storage errors share no base
            raise JobStoreError(
                f"The payload store gs://{self._name} doesn't answer, or refuses "
                f"({type(error).__name__}). The service account needs roles/storage.objectUser on "
                "the bucket."
            ) from error
