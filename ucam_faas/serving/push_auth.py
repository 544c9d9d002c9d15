"""Verifying the token of a push: who sent it, and that it is for this service.

It is for services that are open to unauthenticated calls. Behind Cloud Run's own IAM check the
token's signature has been removed, and IAM has done this already.

Source: Google's page "Authentication for push subscriptions".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, UnauthenticatedPushError

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CERTIFICATES_LIFE_SECONDS = 3600.0
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
        if not settings.push_audience:
            raise ConfigurationError(
                "UCAM_FAAS_PUSH_EMAIL is set and UCAM_FAAS_PUSH_AUDIENCE is not: set it to the "
                "audience of the subscription's OIDC token."
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
        expected = self._settings.push_email
        if expected is not None and claims.get("email") != expected:
            raise UnauthenticatedPushError("email: not the push service account")

    def _fetch(self, url: str, method: str = "GET", **options: Any) -> Any:
        """Answer google-auth's request for the certificates, from memory for an hour."""
        with self._lock:
            now = self._clock.monotonic()
            if self._certificates is None or now - self._fetched_at > CERTIFICATES_LIFE_SECONDS:
                options.setdefault("timeout", FETCH_TIMEOUT_SECONDS)
                response = self._transport_made()(url, method=method, **options)
                if response.status != 200:
                    return response
                self._certificates = SimpleNamespace(
                    status=200, data=response.data, headers=dict(response.headers)
                )
                self._fetched_at = now
            return self._certificates

    def _transport_made(self) -> Any:
        if self._transport is None:
            self._transport = require("google.auth.transport.requests", **_NEEDED).Request()
        return self._transport
