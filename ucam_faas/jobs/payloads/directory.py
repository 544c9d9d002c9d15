"""Large payloads in a directory, a file each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ucam_faas.exceptions import JobStoreError


class Directory:
    """Keeps objects in a directory, which is made if it is missing.

    Args:
        path: of the directory.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()  # tasks may change folders

    def put(self, name: str, data: bytes) -> None:
        """Write a file."""
        with self._failures():
            self._path.mkdir(parents=True, exist_ok=True)
            unfinished = self._path / f".{name}.{os.urandom(4).hex()}"
            try:
                unfinished.write_bytes(data)
                unfinished.replace(self._path / name)
            finally:
                unfinished.unlink(missing_ok=True)

    def get(self, name: str) -> bytes | None:
        """Return the content of a file."""
        with self._failures():
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        with self._failures():
            for name in names:
                (self._path / name).unlink(missing_ok=True)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobStoreError(
                f"The payload store {self._path}: {error.strerror or type(error).__name__}."
            ) from error
