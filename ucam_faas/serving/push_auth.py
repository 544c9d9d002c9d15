"""Verifying the token of a push: who sent it, and that it is for this service.

It is for services that are open to unauthenticated calls. Behind Cloud Run's own IAM check the
token's signature has been removed, and IAM has done this already.

Source: Google's page "Authentication for push subscriptions".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, UnauthenticatedPushError
from ucam_faas.serving.threads import ThreadPool, call_in

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CERTIFICATES_LIFE_SECONDS = 3600.0
RETRY_SECONDS = 5.0
"""After a failed fetch, deliveries are refused for this long without another."""
FETCH_TIMEOUT_SECONDS = 5.0
"""Less than the shortest ack deadline of a subscription, 10 s."""
_NEEDED = {"extra": "auth", "purpose": "verify push tokens"}


class PushVerifier:
    """Verifies push tokens; whatever cannot be verified is refused.

    Args:
        settings: audience, email and where the certificates are.
        transport: fetches them; default: google-auth's over requests.
    """

    def __init__(self, settings: Settings, clock: Clock, transport: Any = None) -> None:
        if not settings.push_audience or not settings.push_email:
            raise ConfigurationError(
                "Set both UCAM_FAAS_PUSH_AUDIENCE, the audience of the subscription's OIDC token, "
                "and UCAM_FAAS_PUSH_EMAIL, its service account: Google signs tokens for any "
                "audience that any service account asks for."
            )
        check("google.oauth2.id_token", **_NEEDED)
        if transport is None:
            check("requests", **_NEEDED)
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._certificates: Any = None
        self._fetched_at = 0.0
        self._failed_at: float | None = None
        # Its own threads: a task that fills asyncio's must not keep deliveries waiting here.
        self._threads = ThreadPool(4)

    async def verify_async(self, headers: Mapping[str, str]) -> None:
        """Check the Authorization header in a thread.

        Raises:
            UnauthenticatedPushError: with the rule that is broken.
        """
        await call_in(self._threads, lambda: self.verify(headers))

    def verify(self, headers: Mapping[str, str]) -> None:
        """Check the Authorization header.

        Raises:
            UnauthenticatedPushError: with the rule that is broken.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedPushError("no bearer token")
        id_token = require("google.oauth2.id_token", **_NEEDED)
        try:
            claims = id_token.verify_token(
                token.strip(),
                self._fetch,
                audience=self._settings.push_audience,
                certs_url=self._settings.push_certs_url,
                clock_skew_in_seconds=10,
            )
        except Exception as error:  # a broken token, a wrong one, or no certificates: all refused
            raise UnauthenticatedPushError(f"token refused: {type(error).__name__}") from error
        if claims.get("iss") not in ISSUERS:
            raise UnauthenticatedPushError("iss: not Google")
        if claims.get("email_verified") is not True:
            raise UnauthenticatedPushError("email_verified: not true")
        if claims.get("email") != self._settings.push_email:
            raise UnauthenticatedPushError("email: not the push service account")

    def _fetch(self, url: str, method: str = "GET", **options: Any) -> Any:
        """Answer google-auth's request for the certificates, from memory for an hour."""
        with self._lock:
            now = self._clock.monotonic()
            if self._failed_at is not None and now - self._failed_at < RETRY_SECONDS:
                raise UnauthenticatedPushError("the certificates could not be fetched just now")
            if self._certificates is None or now - self._fetched_at > CERTIFICATES_LIFE_SECONDS:
                self._failed_at = now  # until it is known better
                options.setdefault("timeout", FETCH_TIMEOUT_SECONDS)
                response = self._transport_made()(url, method=method, **options)
                if response.status != 200 or not isinstance(json.loads(response.data), dict):
                    return response
                self._failed_at = None
                self._certificates = SimpleNamespace(
                    status=200, data=response.data, headers=dict(response.headers)
                )
                self._fetched_at = now
            return self._certificates

    def _transport_made(self) -> Any:
        if self._transport is None:
            self._transport = require("google.auth.transport.requests", **_NEEDED).Request()
        return self._transport
