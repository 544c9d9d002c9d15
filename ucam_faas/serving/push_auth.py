"""Verifying the token of a push: its sender, and its audience.

It is for services that are open to unauthenticated calls. Behind Cloud Run's own IAM check the
token's signature has been removed, and IAM has done this already.

Source: Google's page "Authentication for push subscriptions".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import off_loop
from ucam_faas.outcomes import Unauthenticated
from ucam_faas.serving.certificates import FETCH_SECONDS, Certificates, NoCertificatesError
from ucam_faas.serving.threads import ThreadPool

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
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
        self._transport = transport
        self._certificates = Certificates(self._fetch, clock)
        # Its own threads: a task that fills asyncio's must not keep deliveries waiting here.
        self._threads = ThreadPool(4)

    async def verify(self, headers: Mapping[str, str]) -> None:
        """Check the Authorization header.

        Raises:
            Unauthenticated: with the rule that is broken.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("no bearer token")
        try:
            certificates = await self._certificates.get()
        except NoCertificatesError as error:
            raise Unauthenticated("the certificates could not be fetched") from error
        check = functools.partial(self._check, token.strip(), certificates)
        await off_loop.in_thread(check, self._threads.submit)

    def _check(self, token: str, certificates: bytes) -> None:
        id_token = require("google.oauth2.id_token", **_NEEDED)
        try:
            claims = id_token.verify_token(
                token,
                lambda *_, **__: SimpleNamespace(status=200, data=certificates),
                audience=self._settings.push_audience,
                certs_url=self._settings.push_certs_url,
                clock_skew_in_seconds=10,
            )
        except Exception as error:  # a broken token or a wrong one: all refused
            raise Unauthenticated(f"token refused: {type(error).__name__}") from error
        if claims.get("iss") not in ISSUERS:
            raise Unauthenticated("iss: not Google")
        if claims.get("email_verified") is not True:
            raise Unauthenticated("email_verified: not true")
        if claims.get("email") != self._settings.push_email:
            raise Unauthenticated("email: not the push service account")

    def _fetch(self) -> bytes:
        """Return the document that has the certificates.

        Raises:
            Exception: it cannot be fetched, or there is no certificate in it.
        """
        transport = self._transport
        if transport is None:
            transport = require("google.auth.transport.requests", **_NEEDED).Request()
        url = self._settings.push_certs_url
        response = transport(url, method="GET", timeout=FETCH_SECONDS)
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        document: bytes = response.data
        _check_certificates(json.loads(document))
        return document


def _check_certificates(document: Any) -> None:
    """Raise if a document has no certificates: X.509 by key id, or a JSON Web Key Set."""
    if isinstance(document, dict) and isinstance(document.get("keys"), list) and document["keys"]:
        return
    crypt = require("google.auth.crypt", **_NEEDED)
    for certificate in dict(document).values():
        with suppress(ValueError, TypeError):
            crypt.RSAVerifier.from_string(certificate)
            return
    raise ValueError("no certificates")
