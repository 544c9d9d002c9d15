"""Optional dependencies: import one, or say which extra brings it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ucam_faas.exceptions import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import and return `module`.

    Args:
        module: dotted module name.
        extra: the extra of ucam-faas that brings it.
        purpose: what it is needed for, to read after "needed to".

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(module, extra, purpose) from error


def check(module: str, *, extra: str, purpose: str) -> None:
    """Make sure at start-up that `module` is there for later, without importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None:
        raise _missing(module, extra, purpose)


LOCAL = (
    *("google.pubsub_v1", "google.iam.v1", "google.cloud.scheduler_v1", "google.cloud.tasks_v2"),
    *("grpc", "cryptography", "watchfiles", "jinja2", "starlette"),
)
"""The packages that the extra `local` installs."""


def check_local(purpose: str) -> None:
    """Make sure that what the embedded Pub/Sub needs is there; see `check`."""
    for module in LOCAL:
        check(module, extra="local", purpose=purpose)


def _missing(module: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(
        f"{module} is needed to {purpose}, but isn't installed. "
        f'Run: pip install "ucam-faas[{extra}]"'
    )
