"""Verifying the OIDC token of a request: its audience, and its caller.

It is for services that are open to unauthenticated calls. Behind Cloud Run's own IAM check the
token's signature has been removed, and IAM has done this already.

Sources: Google's page "Authentication for push subscriptions"; OpenID Connect Core 1.0.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import off_loop
from ucam_faas.outcomes import Unauthenticated, Unverifiable
from ucam_faas.serving.certificates import (
    FETCH_SECONDS,
    RETRY_SECONDS,
    Certificates,
    NoCertificatesError,
)
from ucam_faas.serving.signing_keys import in_pem, is_secure, keys_url
from ucam_faas.serving.threads import ThreadPool

GOOGLE = "https://accounts.google.com"
ISSUERS = (GOOGLE, "accounts.google.com")
"""Google's two names."""
_NEEDED = {"extra": "auth", "purpose": "verify tokens"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tokens that are accepted.

    Args:
        audience: of the token.
        callers: emails that the issuer has verified, and subjects.
        issuers: the names of the one that signs tokens.
        certs_url: where its certificates or keys are; None: where its discovery document says.
    """

    audience: str
    callers: frozenset[str]
    issuers: tuple[str, ...]
    certs_url: str | None


def push_verifier(settings: Settings, clock: Clock, transport: Any = None) -> TokenVerifier:
    """Return the verifier of pushes.

    Raises:
        ConfigurationError: the settings name an audience without an account, or the reverse.
    """
    if not settings.push_audience or not settings.push_email:
        raise ConfigurationError(
            "Set both UCAM_FAAS_PUSH_AUDIENCE, the audience of the subscription's OIDC token, "
            "and UCAM_FAAS_PUSH_EMAIL, its service account: Google signs tokens for any "
            "audience that any service account asks for."
        )
    callers = frozenset({settings.push_email})
    accepted = Accepted(settings.push_audience, callers, ISSUERS, settings.push_certs_url)
    return TokenVerifier(accepted, clock, transport)


def caller_verifier(settings: Settings, clock: Clock, transport: Any = None) -> TokenVerifier:
    """Return the verifier of requests for jobs over HTTP.

    Raises:
        ConfigurationError: the settings name an audience without callers, or the reverse; or an
            issuer without HTTPS.
    """
    names = (name.strip() for name in (settings.jobs_callers or "").split(","))
    callers, issuer = frozenset(filter(None, names)), settings.jobs_issuer
    if not settings.jobs_audience or not callers:
        raise ConfigurationError(
            "Set both UCAM_FAAS_JOBS_AUDIENCE, the audience of the callers' OIDC tokens, and "
            "UCAM_FAAS_JOBS_CALLERS, their emails or subjects: an issuer signs tokens for any "
            "audience that any of its accounts asks for."
        )
    is_google = issuer in ISSUERS
    if not is_google and not is_secure(issuer):
        raise ConfigurationError(
            f"UCAM_FAAS_JOBS_ISSUER={issuer!r}: expected an address that begins with https://, "
            "since anyone on the way to another could replace the keys that verify tokens."
        )
    accepted = Accepted(
        settings.jobs_audience,
        callers,
        ISSUERS if is_google else (issuer,),
        settings.push_certs_url if is_google else None,
    )
    return TokenVerifier(accepted, clock, transport)


class TokenVerifier:
    """Verifies tokens; whatever cannot be verified is refused.

    Args:
        accepted: the right tokens.
        transport: fetches certificates; default: google-auth's over requests.
    """

    def __init__(self, accepted: Accepted, clock: Clock, transport: Any = None) -> None:
        check("google.oauth2.id_token", **_NEEDED)
        if transport is None:
            check("requests", **_NEEDED)
        self._accepted = accepted
        self._transport = transport
        self._certificates = Certificates(self._fetch, clock)
        # Its own threads: a task that fills asyncio's must not keep deliveries waiting here.
        self._threads = ThreadPool(4)

    async def verify(self, headers: Mapping[str, str]) -> None:
        """Check the Authorization header.

        Raises:
            Unauthenticated: with the rule that is broken.
            Unverifiable: the issuer's keys can't be fetched now, so no token can be verified.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("no bearer token")
        try:
            certificates = await self._certificates.get()
        except NoCertificatesError as error:
            reason = "the certificates could not be fetched"
            raise Unverifiable(timedelta(seconds=RETRY_SECONDS), reason=reason) from error
        check = functools.partial(self._check, token.strip(), certificates)
        await off_loop.in_thread(check, self._threads.submit)

    def _check(self, token: str, certificates: bytes) -> None:
        id_token = require("google.oauth2.id_token", **_NEEDED)
        try:
            claims = id_token.verify_token(
                token,
                lambda *_, **__: SimpleNamespace(status=200, data=certificates),
                clock_skew_in_seconds=10,
            )
        except Exception as error:  # a broken token or a wrong one: all refused
            raise Unauthenticated(f"token refused: {type(error).__name__}") from error
        issuer = claims.get("iss")
        if issuer not in self._accepted.issuers:
            raise Unauthenticated("iss: another issuer")
        if self._accepted.audience not in _audiences(claims.get("aud"), issuer):
            raise Unauthenticated("aud: another audience")
        if not self._accepted.callers & _names_of(claims):
            raise Unauthenticated("email, email_verified, sub: not an accepted caller")

    def _fetch(self) -> bytes:
        """Return the issuer's certificates and public keys, by their ids.

        Raises:
            Exception: they cannot be fetched, or there are none.
        """
        url = self._accepted.certs_url or keys_url(self._accepted.issuers[0], self._get)
        return in_pem(self._get(url))

    def _get(self, url: str) -> bytes:
        transport = self._transport
        if transport is None:
            transport = require("google.auth.transport.requests", **_NEEDED).Request()
        response = transport(url, method="GET", timeout=FETCH_SECONDS)
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        return bytes(response.data)


def _audiences(claim: Any, issuer: str) -> list[Any]:
    """Return the audiences of a token; Google's tokens have one."""
    return claim if isinstance(claim, list) and issuer not in ISSUERS else [claim]


def _names_of(claims: Mapping[str, Any]) -> set[str]:
    """Return the names by which a token's caller is accepted."""
    is_verified = claims.get("email_verified") is True
    names = [claims.get("sub"), claims.get("email") if is_verified else None]
    return {name for name in names if isinstance(name, str)}
