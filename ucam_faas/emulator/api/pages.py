"""Lists, a page at a time: a page's token is the last name of the page before it."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ucam_faas.emulator.api import checks
from ucam_faas.emulator.errors import invalid

MAX_PAGE = 1000
ResourceT = TypeVar("ResourceT")


def page_of_project(
    request: Any, table: Mapping[str, ResourceT], kind: str
) -> tuple[list[ResourceT], str]:
    """Return the resources of the request's project on a page, and the token of the next page.

    Raises:
        RpcError: INVALID_ARGUMENT: the project, size or token is wrong.
    """
    prefix = f"{checks.project(request.project)}/{kind}/"
    names, token = page(request, (name for name in table if name.startswith(prefix)))
    return [table[name] for name in names], token


def page(request: Any, names: Iterable[str], *, longest: int = MAX_PAGE) -> tuple[list[str], str]:
    """Return the names that are on a page, and the token of the next page.

    Raises:
        RpcError: INVALID_ARGUMENT: a negative size, or a token that no page had.
    """
    size = request.page_size
    if size < 0:
        raise invalid(f"Invalid page_size: {size}. Expected 0 (the default) or more.")
    after = _read_token(request.page_token)
    rest = sorted(name for name in names if name > after)
    size = min(size or longest, longest)
    more = len(rest) > size
    return rest[:size], urlsafe_b64encode(rest[size - 1].encode()).decode() if more else ""


def _read_token(token: str) -> str:
    """Return the last name of the page that a token came with."""
    try:
        name = b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise invalid(f"Invalid page_token: {token[:100]!r}.") from error
    if name and not name.startswith("projects/"):
        raise invalid(f"Invalid page_token: {token[:100]!r}.")
    return name
