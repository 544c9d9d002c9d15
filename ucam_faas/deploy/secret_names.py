"""Environment variables that are likely to hold a secret, by their names and values."""

from __future__ import annotations

import re


def is_in_sight(name: str, value: str) -> bool:
    """Return True if an environment variable is likely to have a secret in plain text.

    >>> is_in_sight("API_KEY", "5up3r"), is_in_sight("API_KEY", "projects/p/secrets/api-key")
    (True, False)
    >>> is_in_sight("DATABASE", "postgresql://shop:hunter2@db/shop")
    True
    """
    if re.search(_SECRET_VALUE, value):
        return True
    return looks_secret(name) and not re.fullmatch(_HARMLESS_VALUE, value.strip(), re.IGNORECASE)


def looks_secret(name: str) -> bool:
    """Return True if an environment variable of this name is likely to hold a secret.

    The last word names the thing: `KEY_FILE` is a file, and `FILE_KEY` a key.

    >>> [name for name in ("DB_PASSWORD", "FILE_KEYS", "MONKEY", "KEY_FILE") if looks_secret(name)]
    ['DB_PASSWORD', 'FILE_KEYS']
    """
    words = re.split(r"[_\W]+", name.upper())
    secret = [number for number, word in enumerate(words) if word in _SECRETS]
    if not secret:
        return len(words) > 1 and words[-1] in _SHORT_FORMS
    last = secret[-1]
    return _ABOUT.isdisjoint(words[last + 1 :]) and _OPEN.isdisjoint(words[:last])


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


_SECRETS = _words(
    "PASSWORD PASSWORDS PASSWD PASSPHRASE TOKEN TOKENS KEY KEYS SECRET SECRETS APIKEY "
    "CREDENTIAL CREDENTIALS"
)
_SHORT_FORMS = _words("PASS PWD CREDS PSK SALT")
_PLACES = _words(
    "URL URLS URI URIS ENDPOINT ENDPOINTS HOST HOSTS PORT SERVER SERVICE PATH PATHS FILE FILES DIR "
    "DIRECTORY FOLDER MOUNT BUCKET COLLECTION TABLE COLUMN STORE PROJECT REGION LOCATION VAULT "
    "MANAGER RING KEYRING HEADER HEADERS COOKIE FIELD FIELDS PARAM PARAMETER CLAIM ATTRIBUTE"
)
_NAMES = _words(
    "ID IDS NAME NAMES REF REFERENCE LABEL ALIAS PREFIX SUFFIX VERSION VERSIONS FINGERPRINT "
    "THUMBPRINT OWNER ISSUER AUDIENCE SCOPE SCOPES USER USERNAME EMAIL"
)
_FORMS = _words(
    "TYPE TYPES KIND FORMAT ALGORITHM ALGORITHMS ALG HASHER HASHERS ENCODING SEPARATOR DELIMITER "
    "PATTERN REGEX LENGTH SIZE BYTES BITS COUNT LIMIT MIN MAX BUDGET POLICY RULES VALIDATOR "
    "VALIDATORS PROVIDER BACKEND SOURCE CLASS FUNCTION MODULE MODE STRATEGY PUBLIC"
)
_TIMES = _words(
    "SECONDS MINUTES HOURS DAYS TTL AGE LIFETIME EXPIRY EXPIRES EXPIRATION TIMEOUT LEEWAY INTERVAL "
    "ROTATION REFRESH CACHE RESET ENABLED DISABLED REQUIRED OPTIONAL"
)
_ABOUT = _PLACES | _NAMES | _FORMS | _TIMES
"""After a secret, one of these words says that the value only describes the secret."""
_OPEN = _words(
    "PUBLIC PUBLISHABLE SITE PARTITION SORT ORDERING SHARD CLUSTERING CACHE IDEMPOTENCY "
    "DEDUPLICATION FOREIGN OBJECT GROUP GROUPING LOOKUP KMS CRYPTO MAX MIN"
)
"""Before a key, one of these words says that it isn't secret."""
_HARMLESS_VALUE = "|".join(
    (
        "[^a-z]*",  # a number: MAX_TOKENS
        "true|false|yes|no|on|off|none|null|required|optional|disabled|enabled",
        r"[0-9.]+ ?(?:ms|s|m|h|d|seconds?|minutes?|hours?|days?)",
        r"pt?[0-9][0-9tymwdhs.]*",  # a duration in ISO 8601
        r"[a-z][a-z0-9+.-]*://[^@?]*",  # an address
        r"(?:\.{0,2}/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*\.(?:json|ya?ml|pem|key|crt|txt|toml|env)",
        r"\.{0,2}(?:/[a-z][a-z0-9._-]*)+",  # a path
        r"(?:projects|organizations|folders|locations|secrets)/.*",  # a name in Google Cloud
        r"x-[a-z-]+|(?:proxy-)?authorization|bearer|basic",  # a header, or a scheme
        r"[a-z0-9._-]+@[a-z0-9.-]+\.gserviceaccount\.com",
        r"\$\{.*\}|\$\(.*\)|\{\{.*\}\}",  # filled in elsewhere
    )
)
_SECRET_VALUE = "|".join(
    (
        r"^[A-Za-z0-9+]+://[^/@:]*:[^/@]+@",
        r"(?i:[?&;](?:password|passwd|pwd|api_?key|(?:access_?|auth_?)?token|(?:client_)?secret|sig)"
        r"=[^&;\s]{3})",
        "-----BEGIN [A-Z ]*PRIVATE KEY",
        r"^https://hooks\.slack\.com/services/.",
        r"^(?:AIza[\w-]{30}|AKIA[A-Z0-9]{16}|gh[pousr]_\w{30}|github_pat_\w{20}|glpat-[\w-]{15})",
        r"^(?:[sr]k_(?:live|test)_\w{10}|sk-(?:\w+-)?\w{20}|xox[abprs]-\w{5})",
    )
)
"""Passwords in addresses, private keys, and the tokens of well-known providers."""
