"""Errors as `application/problem+json` (RFC 9457), without values of a payload or of a header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
STORE_SECONDS = 5
"""Until a caller tries again, when the job store didn't answer."""


class Problem(Exception):
    """The answer to a request that fails.

    Args:
        status: of the response.
        code: the kind of problem, for programs.
        detail: for people; a rule, never a value of the request.
        headers: of the response.
        fields: further members of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.fields = fields

    def response(self) -> tuple[bytes, int, dict[str, str]]:
        """Return it as Flask takes it."""
        body = {**standard_members(self.status, str(self)), "code": self.code, **self.fields}
        headers = {"content-type": MEDIA_TYPE, **self.headers}
        return json.dumps(body).encode(), self.status, headers


def standard_members(status: int, detail: str) -> dict[str, Any]:
    """Return the members that RFC 9457 defines.

    >>> standard_members(404, "No task has this path")["title"]
    'Not Found'
    """
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}
