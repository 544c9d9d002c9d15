"""The public keys of an issuer of tokens, as google-auth reads them: PEM, by their ids.

Sources: RFC 7517 and RFC 7518 (JSON Web Keys); OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ucam_faas._optional import require

_NEEDED = {"extra": "auth", "purpose": "verify tokens"}
_HERE = ("localhost", "127.0.0.1", "::1")


def is_secure(url: str) -> bool:
    """Return True if no one on the network can replace the document of a URL.

    >>> is_secure("http://id.example.org")
    False
    """
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)


def keys_url(issuer: str, get: Callable[[str], bytes]) -> str:
    """Return the address of an issuer's keys, as its discovery document has it.

    Args:
        issuer: its URL.
        get: fetches a document.

    Raises:
        Exception: there is none, or it is another issuer's, or the keys aren't behind HTTPS.
    """
    document = json.loads(get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    if document["issuer"] != issuer:
        raise ValueError("the discovery document is that of another issuer")
    url = str(document["jwks_uri"])
    if not is_secure(url):
        raise ValueError("the keys aren't behind HTTPS")
    return url


def in_pem(document: bytes) -> bytes:
    """Return certificates, or public keys, in PEM by their ids, as JSON.

    Args:
        document: X.509 certificates by id, or a JSON Web Key Set.

    Raises:
        Exception: there are none.
    """
    content = json.loads(document)
    if isinstance(content, dict) and isinstance(content.get("keys"), list):
        keys = {}
        for key in content["keys"]:
            with suppress(ValueError, KeyError, TypeError):  # of a kind that isn't known here
                keys[key["kid"]] = _pem_of(key)
        if not keys:
            raise ValueError("no keys")
        return json.dumps(keys).encode()
    crypt = require("google.auth.crypt", **_NEEDED)
    for certificate in dict(content).values():
        with suppress(ValueError, TypeError):
            crypt.RSAVerifier.from_string(certificate)
            return document
    raise ValueError("no certificates")


def _pem_of(key: dict[str, Any]) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if key.get("use", "sig") != "sig":
        raise ValueError("not a key for signatures")
    numbers: Any
    if key["kty"] == "RSA":
        numbers = rsa.RSAPublicNumbers(_integer(key["e"]), _integer(key["n"]))
    elif key["kty"] == "EC" and key["crv"] == "P-256":
        numbers = ec.EllipticCurvePublicNumbers(
            _integer(key["x"]), _integer(key["y"]), ec.SECP256R1()
        )
    else:
        raise ValueError("not a kind of key that google-auth verifies")
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(numbers.public_key().public_bytes(encoding, form).decode())


def _integer(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(f"{text}=="), "big")
