"""The HTTP request of a Cloud Scheduler job or a Cloud Tasks task, and its backoffs. Pure.

Sources: Google's pages "HttpTarget" and "RetryConfig" of Cloud Scheduler, "HttpRequest" and
"RetryConfig" of Cloud Tasks.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcToken:
    """A token to send as `Authorization: Bearer` ("OidcToken"); no audience: the target's URI."""

    service_account_email: str
    audience: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OauthToken:
    """A token for Google's APIs ("OAuthToken"); no scope: cloud-platform."""

    service_account_email: str
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget:
    """A request to send; a status of 200-299 is a success.

    Both services send headers of their own in place of the user's: Host, Content-Length,
    User-Agent, and those that start with X-Google-, X-AppEngine- or the service's own prefix.

    Args:
        uri: with http:// or https://.
        method: such as "POST".
        headers: the user's.
        body: with POST, PUT and PATCH only.
        oidc: the OIDC token to send, if any.
        oauth: the OAuth token to send, if any; never both.
    """

    uri: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    oidc: OidcToken | None = None
    oauth: OauthToken | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON-able values."""
        return asdict(self) | {"body": base64.b64encode(self.body).decode()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> HttpTarget:
        """Return the target that `to_dict` was called on."""
        fields = dict(stored) | {"body": base64.b64decode(stored["body"])}
        if fields.get("oidc"):
            fields["oidc"] = OidcToken(**fields["oidc"])
        if fields.get("oauth"):
            fields["oauth"] = OauthToken(**fields["oauth"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoffs:
    """How long to wait between attempts. Durations are seconds.

    Args:
        min_backoff: before the first retry.
        max_backoff: before any retry, at most.
        max_doublings: how often the backoff doubles; after that it grows by its last value.
    """

    min_backoff: float
    max_backoff: float
    max_doublings: int

    def backoff(self, retry: int) -> float:
        """Return the seconds to wait before a retry; the first is number 1.

        >>> backoffs = Backoffs(min_backoff=10, max_backoff=300, max_doublings=3)
        >>> [backoffs.backoff(retry) for retry in range(1, 9)]
        [10.0, 20.0, 40.0, 80.0, 160.0, 240.0, 300.0, 300.0]
        """
        doublings = min(retry - 1, self.max_doublings, 64)
        steps = retry - doublings
        return float(min(self.min_backoff * 2**doublings * steps, self.max_backoff))
