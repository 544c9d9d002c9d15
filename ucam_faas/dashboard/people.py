"""The person who makes a request, for the log and the journal."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from ucam_faas.config import on_cloud_run
from ucam_faas.dead_letters.opening import person


def person_of(headers: Mapping[str, str]) -> str:
    """Return the person that a request is of, for the log.

    On Cloud Run, IAP names them, or else the token that Cloud Run has verified. The names are only
    as good as the service's settings: without IAP, whoever may invoke it can send IAP's header.
    """
    if not on_cloud_run():
        return person()
    named = headers.get("x-goog-authenticated-user-email", "")
    return named.rpartition(":")[2] or _email(headers.get("authorization", ""))


def _email(authorization: str) -> str:
    """Return the email of an identity token; Cloud Run has checked its signature."""
    try:
        claims = authorization.split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(content["email"])
    except (LookupError, ValueError, TypeError):
        return ""
