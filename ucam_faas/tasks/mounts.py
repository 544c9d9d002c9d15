"""Volumes of a task's container, and files of secrets.

Sources of the limits: Google's pages "Configure in-memory volume mounts", "Configure Cloud Storage
volume mounts" and "Configure secrets" of Cloud Run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.resources import (
    MEBIBYTE,
    MIN_MEMORY_2ND_GENERATION,
    check_variables,
    cpu_count,
    memory_bytes,
    secret_version,
)

SOCKETS = "/cloudsql"
"""The folder of Cloud SQL's sockets."""
_PATH = r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+"
_TAKEN = r"/(?:dev|proc|sys|cloudsql|usr|srv/(?:app|tasks|venv))(?:/.*)?"
_NEEDED = r"/(?:bin|etc|home|lib|lib64|opt|root|sbin|srv|var)"
_BUCKET = r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?P<read_only>:ro)?"


class Volume(NamedTuple):
    """A volume: an amount of memory, or a bucket. The other is None."""

    memory: str | None
    bucket: str | None
    read_only: bool = False


def volume_of(text: Any, path: str) -> Volume:
    """Return the volume that a text names.

    Raises:
        TaskDefinitionError: it is neither an amount of memory nor a bucket.

    >>> volume_of("gs://reports:ro", "/reports")
    Volume(memory=None, bucket='reports', read_only=True)
    """
    match = re.fullmatch(_BUCKET, text) if isinstance(text, str) else None
    if match:
        return Volume(None, match["bucket"], match["read_only"] is not None)
    if isinstance(text, str) and re.fullmatch(r"[1-9][0-9]{0,5}(Mi|Gi)", text):
        return Volume(text, None)
    raise TaskDefinitionError(
        f"volumes: {text!r} at {path} is not a volume: expected memory such as 256Mi, a bucket "
        "such as gs://reports, or gs://reports:ro, to read only."
    )


def is_file(name: Any) -> bool:
    """Return True if an entry of `secrets` is a file, and not an environment variable."""
    return isinstance(name, str) and name.startswith("/")


def check_volumes(volumes: Mapping[Any, Any]) -> None:
    """Refuse paths and values that volumes can't have.

    Raises:
        TaskDefinitionError: with the expected form.
    """
    for path, text in volumes.items():
        _check_mount_point("volumes", path)
        volume_of(text, path)


def check_secrets(secrets: Any) -> None:
    """Refuse variables and files that can't be set, and values that don't name a secret.

    Raises:
        TaskDefinitionError: with the expected form.
    """
    names = list(secrets) if isinstance(secrets, Mapping) else []
    for path in filter(is_file, names):
        _check_path("secrets", path)
        _check_mount_point("secrets", path.rpartition("/")[0] or "/", path)
    in_environment = {name: secrets[name] for name in names if not is_file(name)}
    check_variables("secrets", in_environment if names else secrets)
    for name in names:
        secret_version(secrets[name], name)


def check_mounts(options: Mapping[str, Any]) -> None:
    """Refuse volumes and files that Cloud Run can't mount together, or with the task's size.

    Args:
        options: by name; those that are missing are not compared.

    Raises:
        TaskDefinitionError: with the rule.
    """
    volumes: Mapping[str, Any] = options.get("volumes") or {}
    folders: dict[str, str] = {}
    for path, text in (options.get("secrets") or {}).items():
        folder = path.rpartition("/")[0]
        secret = secret_version(text, path).secret
        if is_file(path) and folders.setdefault(folder, secret) != secret:
            raise TaskDefinitionError(
                f"secrets= has files of two secrets in {folder}, and Cloud Run mounts one secret "
                "in a folder: give each a folder of its own."
            )
    for folder in sorted(folders.keys() & volumes.keys()):
        raise TaskDefinitionError(f"volumes= and secrets= both mount {folder}: keep one of them.")
    for path, text in volumes.items():
        _check_size(volume_of(text, path), path, options.get("memory"), options.get("cpu"))


def _check_size(volume: Volume, path: str, memory: str | None, cpu: float | str | None) -> None:
    if volume.memory and memory and _bytes(volume.memory) >= memory_bytes(memory):
        raise TaskDefinitionError(
            f"memory={memory!r} has no room for volumes= with {volume.memory} at {path}: its files "
            "are in the memory of the instance."
        )
    is_small = memory is not None and memory_bytes(memory) < MIN_MEMORY_2ND_GENERATION
    if volume.bucket and (is_small or (cpu is not None and cpu_count(cpu) < 1)):
        raise TaskDefinitionError(
            f"volumes= with a bucket at {path} needs the second generation environment, with at "
            f"least one CPU and 512Mi: found cpu={cpu!r} and memory={memory!r}."
        )


def _bytes(amount: str) -> int:
    return int(amount[:-2]) * MEBIBYTE * (1024 if amount.endswith("Gi") else 1)


def _check_path(option: str, path: Any) -> None:
    if not (isinstance(path, str) and re.fullmatch(_PATH, path)):
        raise TaskDefinitionError(
            f"{option}: {path!r} is not a path: expected one such as /etc/keys/api, of letters, "
            "digits, -, _ and ., without a / at the end."
        )


def _check_mount_point(option: str, folder: Any, path: str | None = None) -> None:
    if folder != "/":
        _check_path(option, folder)
    if folder == "/" or re.fullmatch(f"{_TAKEN}|{_NEEDED}", folder):
        raise TaskDefinitionError(
            f"{option}: {path or folder!r} would hide the container's files in {folder}: expected "
            "a folder of its own, such as /etc/keys/api in /etc/keys."
            if path
            else f"{option}: {folder!r} would hide files of the container: expected a folder of "
            "its own, such as /mnt/reports."
        )
