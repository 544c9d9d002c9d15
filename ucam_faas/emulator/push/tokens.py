"""OIDC tokens for pushes, signed with a key of the emulator's own, and the keys to verify them.

Google signs real tokens. To verify these, tell the verifier where the keys are, with
UCAM_FAAS_PUSH_CERTS_URL=http://HOST:PORT/oauth2/v1/certs. Source: Google's page "Authentication
for push subscriptions".
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ucam_faas._optional import require

LIFETIME_SECONDS = 3600
RENEWED_SECONDS = 1800
KEY_ID = "ucam-faas-emulator"
ISSUER = "https://accounts.google.com"
MakeToken = Callable[[str, str], str]
"""From a service account's email address and an audience to an OIDC token."""


class Tokens:
    """Makes tokens.

    Args:
        now: returns epoch seconds.
        kept: the key of an earlier run, in PEM.
        keep: stores a new key, in PEM.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        kept: bytes | None = None,
        keep: Callable[[bytes], None] = lambda pem: None,
    ) -> None:
        self._now = now
        self._kept = kept
        self._keep = keep
        self._key: Any = None
        self._made: dict[tuple[str, str], tuple[float, str]] = {}

    def make(self, email: str, audience: str) -> str:
        """Return a token of a service account for an audience."""
        now = self._now()
        made_at, token = self._made.get((email, audience), (-1.0, ""))
        if not made_at <= now < made_at + RENEWED_SECONDS or not token:
            token = self._sign(
                {
                    "aud": audience,
                    "azp": "100000000000000000000",
                    "email": email,
                    "email_verified": True,
                    "exp": int(now) + LIFETIME_SECONDS,
                    "iat": int(now),
                    "iss": ISSUER,
                    "sub": "100000000000000000000",
                }
            )
            self._made[email, audience] = (now, token)
        return token

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set (RFC 7517)."""
        numbers = self._private().public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID}
        return {"keys": [key | {"n": _number(numbers.n), "e": _number(numbers.e)}]}

    def certificates(self) -> dict[str, str]:
        """Return the public key in a certificate, by key id, as google-auth reads it."""
        x509 = require("cryptography.x509", extra="local", purpose="sign push tokens")
        hashes, serialization = _module("hashes"), _module("serialization")
        key = self._private()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, KEY_ID)])
        now = datetime.fromtimestamp(self._now(), UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(key, hashes.SHA256())
        )
        return {KEY_ID: certificate.public_bytes(serialization.Encoding.PEM).decode()}

    def _sign(self, claims: dict[str, Any]) -> str:
        padding = _module("asymmetric.padding")
        header = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
        signed = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        key = self._private()
        signature = key.sign(signed, padding.PKCS1v15(), _module("hashes").SHA256())
        return (signed + b"." + _base64(signature)).decode()

    def _private(self) -> Any:
        """Return the key; it is made when it is first needed."""
        if self._key is None:
            serialization = _module("serialization")
            if self._kept is not None:
                self._key = serialization.load_pem_private_key(self._kept, None)
            else:
                self._key = _module("asymmetric.rsa").generate_private_key(65537, 2048)
                pem = self._key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                self._keep(pem)
        return self._key


def _module(name: str) -> Any:
    full = f"cryptography.hazmat.primitives.{name}"
    return require(full, extra="local", purpose="sign push tokens")


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()
