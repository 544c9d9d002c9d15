"""Names of environment variables that are likely to hold a secret."""

from __future__ import annotations

import re


def looks_secret(name: str) -> bool:
    """Return True if an environment variable of this name is likely to hold a secret.

    >>> [name for name in ("DB_PASSWORD", "API_KEYS", "MONKEY", "KEY_FILE") if looks_secret(name)]
    ['DB_PASSWORD', 'API_KEYS']
    """
    words = re.split(r"[_\W]+", name.upper())
    return bool(_SECRET_WORDS.intersection(words)) and not _HARMLESS.intersection(words)


_SECRET_WORDS = {
    *("PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "TOKEN", "TOKENS", "KEY", "KEYS"),
    *("SECRET", "SECRETS", "APIKEY", "CREDENTIAL", "CREDENTIALS"),
}
_HARMLESS = {"ID", "NAME", "URL", "URI", "PATH", "FILE", "SECONDS", "TTL", "PUBLIC"}
"""Beside one of these words, the value describes the secret, such as its location."""
