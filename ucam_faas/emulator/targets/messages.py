"""HTTP targets as protobuf has them, read and written; and the limits that both services share."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.emulator.errors import invalid
from ucam_faas.emulator.targets.target import HttpTarget, OauthToken, OidcToken

MAX_URI_CHARACTERS = 2083
MAX_HEADERS_BYTES = 80_000
MAX_DURATION = 315_576_000_000.0  # seconds, of google.protobuf.Duration

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def read(message: Any, uri_field: str) -> HttpTarget:
    """Return the target that a message describes.

    Args:
        message: an `HttpTarget` of Cloud Scheduler, or an `HttpRequest` of Cloud Tasks.
        uri_field: the field of its URI.

    Raises:
        RpcError: INVALID_ARGUMENT: a value is outside Google's limits.
    """
    uri: str = getattr(message, uri_field)
    _check_uri(uri, uri_field)
    verbs = message.DESCRIPTOR.fields_by_name["http_method"].enum_type.values_by_number
    if message.http_method not in verbs:
        raise invalid(f"Invalid http_method {message.http_method}: expected 1 to 7.")
    method = verbs[message.http_method or 1].name
    if message.body and method not in ("POST", "PUT", "PATCH"):
        raise invalid(f"Invalid body: expected none with {method}, only with POST, PUT and PATCH.")
    headers = dict(message.headers)
    _check_headers(headers)
    return HttpTarget(
        uri=uri, method=method, headers=headers, body=message.body,
        oidc=_read_oidc(message), oauth=_read_oauth(message),
    )  # fmt: skip


def _check_uri(uri: str, field: str) -> None:
    try:
        good = bool(urlsplit(uri).hostname) and urlsplit(uri).port != 0
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"https?://[^\s\x00-\x20\x7f]+", uri):
        raise invalid(f"Invalid {field}: expected http:// or https://, a host, and no spaces.")
    if len(uri) > MAX_URI_CHARACTERS:
        raise invalid(f"Invalid {field}: expected at most {MAX_URI_CHARACTERS} characters.")


def _check_headers(headers: dict[str, str]) -> None:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
    if size >= MAX_HEADERS_BYTES:
        raise invalid("Invalid headers: expected less than 80 KB.")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise invalid(f"Invalid header {name!r}: not a name or a value that HTTP knows.")


def _read_oidc(message: Any) -> OidcToken | None:
    if not message.HasField("oidc_token"):
        return None
    email, audience = message.oidc_token.service_account_email, message.oidc_token.audience
    if not email:
        raise invalid("oidc_token needs a service_account_email.")
    return OidcToken(service_account_email=email, audience=audience or None)


def _read_oauth(message: Any) -> OauthToken | None:
    if not message.HasField("oauth_token"):
        return None
    email, scope = message.oauth_token.service_account_email, message.oauth_token.scope
    if not email:
        raise invalid("oauth_token needs a service_account_email.")
    return OauthToken(service_account_email=email, scope=scope or None)


def write(target: HttpTarget, message: Any, uri_field: str) -> None:
    """Fill a message in with a target; see `read`."""
    setattr(message, uri_field, target.uri)
    verbs = message.DESCRIPTOR.fields_by_name["http_method"].enum_type.values_by_name
    message.http_method = verbs[target.method].number
    message.body = target.body
    message.headers.update(target.headers)
    if target.oidc:
        message.oidc_token.service_account_email = target.oidc.service_account_email
        message.oidc_token.audience = target.oidc.audience or ""
    if target.oauth:
        message.oauth_token.service_account_email = target.oauth.service_account_email
        message.oauth_token.scope = target.oauth.scope or ""
