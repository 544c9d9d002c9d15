"""Names, limits and update masks, as Google's API reference states them.

Every function raises RpcError (INVALID_ARGUMENT, unless its docstring says otherwise) that names
the value found and the values expected.
Sources: "Resource names", "Quotas and limits", and the reference of google.pubsub.v1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.core.lease import DAY, Rules
from ucam_faas.emulator.errors import RpcError, invalid, unsupported
from ucam_faas.gcp.filters import FilterError, parse
from ucam_faas.gcp.limits import (
    MAX_ACK_DEADLINE_SECONDS,
    MAX_RETENTION_SECONDS,
    MIN_ACK_DEADLINE_SECONDS,
    MIN_RETENTION_SECONDS,
)

_PROJECT = re.compile(r"projects/[^/]+")
_NAME = re.compile(_PROJECT.pattern + r"/([a-z]+)/((?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254})")
_MAX_LABEL = 63
_ENDPOINT = re.compile(
    r"https?://(?:[^/?#\s@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#\s\x00-\x1f\x7f@:\[\]]+)(?::([0-9]{0,5}))?(?:[/?#]\S*)?"
)
DELETED_TOPIC = "_deleted-topic_"
MAX_BACKOFF = 600.0
MIN_ATTEMPTS, MAX_ATTEMPTS = 5, 100
_UNSUPPORTED = {
    "kms_key_name": "Customer-managed encryption keys",
    "ingestion_data_source_settings": "Ingestion data sources",
    "message_transforms": "Message transforms",
    "bigquery_config": "BigQuery subscriptions",
    "bigtable_config": "Bigtable subscriptions",
    "cloud_storage_config": "Cloud Storage subscriptions",
}


def name(value: str, *kinds: str) -> str:
    """Return a well-formed resource name of one of these kinds, such as "topics"."""
    match = _NAME.fullmatch(value)
    if match is None or match[1] not in kinds:
        forms = " or ".join(f"projects/PROJECT/{kind}/ID" for kind in kinds)
        raise invalid(
            f"Invalid resource name given (name={value}). Expected {forms}, with an ID of 3 to "
            "255 characters that starts with a letter, holds only letters, numbers, - _ . ~ + % "
            "and does not start with goog."
        )
    return value


def project(value: str) -> str:
    """Return a well-formed project name."""
    if not _PROJECT.fullmatch(value):
        raise invalid(f"Invalid resource name given (name={value}). Expected projects/PROJECT.")
    return value


def supported(resource: Any) -> None:
    """Refuse, by name, the parts of the API that this emulator lacks.

    Raises:
        RpcError: UNIMPLEMENTED.
    """
    for field, _ in resource.ListFields():
        if field.name in _UNSUPPORTED:
            raise unsupported(_UNSUPPORTED[field.name])


def labels(by_key: Mapping[str, str]) -> None:
    """Refuse labels that Google Cloud refuses."""
    for key, value in by_key.items():
        if not key[:1].isalpha() or not _is_label(key) or not _is_label(value):
            raise invalid(
                f"Invalid label: {key}={value}. Expected lowercase letters, numbers, - and _, at "
                "most 63, and a letter first in the key."
            )
    if len(by_key) > 64:
        raise invalid(f"There are {len(by_key)} labels; at most 64 are allowed.")


def _is_label(text: str) -> bool:
    """Return True if a text has only characters of labels; letters of any language count."""
    return len(text) <= _MAX_LABEL and all(
        c in "-_" or c.isdecimal() or (c.isalpha() and c == c.lower()) for c in text
    )


def between(value: float, low: float, high: float, field: str) -> float:
    """Refuse a duration, in seconds, that is outside of its limits."""
    if not low <= value <= high:
        raise invalid(f"Invalid {field}: {value:g}s. Expected between {low:g}s and {high:g}s.")
    return value


def presentable(resource: Any) -> None:
    """Refuse durations and times that are outside of protobuf's own limits."""
    try:
        protos.to_dict(resource)
    except protos.JsonError as error:
        raise invalid(str(error)) from error


def topic(resource: Any) -> None:
    """Check a topic's settings."""
    presentable(resource)
    supported(resource)
    labels(resource.labels)
    if resource.HasField("message_retention_duration"):
        retention = protos.seconds(resource.message_retention_duration)
        between(
            retention, MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS, "message_retention_duration"
        )


def subscription(resource: Any) -> None:
    """Fill in a subscription's defaults, and check it."""
    presentable(resource)
    supported(resource)
    labels(resource.labels)
    resource.push_config.SetInParent()  # empty: it is pulled
    resource.ack_deadline_seconds = resource.ack_deadline_seconds or 10
    between(
        resource.ack_deadline_seconds,
        MIN_ACK_DEADLINE_SECONDS,
        MAX_ACK_DEADLINE_SECONDS,
        "ack_deadline_seconds",
    )
    if not resource.HasField("message_retention_duration"):
        resource.message_retention_duration.seconds = int(7 * DAY)
    retention = protos.seconds(resource.message_retention_duration)
    between(retention, MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS, "message_retention_duration")
    if not resource.HasField("expiration_policy"):
        resource.expiration_policy.ttl.seconds = int(31 * DAY)
    if resource.expiration_policy.HasField("ttl"):
        ttl = protos.seconds(resource.expiration_policy.ttl)
        if ttl < DAY or ttl < retention:
            raise invalid(
                f"Invalid expiration_policy.ttl: {ttl:g}s. Expected at least {DAY:g}s, and no less "
                f"than message_retention_duration ({retention:g}s)."
            )
    _retry_policy(resource)
    if resource.HasField("dead_letter_policy"):
        _dead_letter_policy(resource.dead_letter_policy)
    push_config(resource.push_config)
    if resource.enable_exactly_once_delivery and resource.push_config.push_endpoint:
        raise invalid("Exactly-once delivery is for pull subscriptions only.")
    rules(resource)


def _retry_policy(resource: Any) -> None:
    if not resource.HasField("retry_policy"):
        return
    policy = resource.retry_policy
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = 10
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = 600
    low, high = protos.seconds(policy.minimum_backoff), protos.seconds(policy.maximum_backoff)
    between(low, 0, MAX_BACKOFF, "retry_policy.minimum_backoff")
    between(high, 0, MAX_BACKOFF, "retry_policy.maximum_backoff")
    if low > high:
        raise invalid(
            f"Invalid retry_policy: minimum_backoff ({low:g}s) is longer than maximum_backoff "
            f"({high:g}s)."
        )


def _dead_letter_policy(policy: Any) -> None:
    policy.max_delivery_attempts = policy.max_delivery_attempts or MIN_ATTEMPTS
    if not MIN_ATTEMPTS <= policy.max_delivery_attempts <= MAX_ATTEMPTS:
        raise RpcError(
            "OUT_OF_RANGE",
            f"Invalid dead_letter_policy.max_delivery_attempts: {policy.max_delivery_attempts}. "
            f"Expected between {MIN_ATTEMPTS} and {MAX_ATTEMPTS}.",
        )
    name(policy.dead_letter_topic, "topics")


def push_config(config: Any) -> None:
    """Check where and how a subscription pushes, and fill in the version."""
    endpoint = config.push_endpoint
    if not endpoint:
        return
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or int(match[1] or 0) > 65535 or not _has_host(endpoint):
        raise invalid(
            f"Invalid push endpoint given (endpoint={endpoint}). Expected an http(s) URL."
        )
    if config.HasField("oidc_token") and not config.oidc_token.service_account_email:
        raise invalid("oidc_token needs a service_account_email.")
    version = config.attributes.get("x-goog-version", "v1")
    if version not in ("v1", "v1beta1"):
        raise invalid(f"Invalid x-goog-version: {version}. Expected v1 or v1beta1.")
    config.attributes["x-goog-version"] = version


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # such as [:::], which is not an address
        return False


def filter_of(text: str) -> Callable[[Mapping[str, str]], bool] | None:
    """Return the predicate of a filter; None: everything passes."""
    if not text:
        return None
    try:
        return parse(text)
    except FilterError as error:
        raise invalid(f"Invalid filter: {error}") from error


def rules(resource: Any) -> Rules:
    """Return how a checked subscription delivers."""
    policy = resource.retry_policy
    expiration = resource.expiration_policy
    dead_letter = resource.dead_letter_policy
    return Rules(
        ack_deadline=float(resource.ack_deadline_seconds),
        retention=protos.seconds(resource.message_retention_duration),
        retain_acked=resource.retain_acked_messages,
        ordered=resource.enable_message_ordering,
        exactly_once=resource.enable_exactly_once_delivery,
        pushes=bool(resource.push_config.push_endpoint),
        accepts=filter_of(resource.filter),
        min_backoff=protos.seconds(policy.minimum_backoff),
        max_backoff=protos.seconds(policy.maximum_backoff),
        dead_letter_topic=dead_letter.dead_letter_topic,
        max_attempts=dead_letter.max_delivery_attempts,
        expires_after=protos.seconds(expiration.ttl) if expiration.HasField("ttl") else None,
    )


def updated(current: Any, new: Any, mask: Any, allowed: Sequence[str]) -> Any:
    """Return a copy of a resource with the fields that a mask names taken from another.

    Args:
        current: the resource as it is.
        new: holds the new values.
        mask: the update mask.
        allowed: the fields that can be changed.
    """
    if not mask.paths:
        raise invalid("The update_mask must be set, and must name at least one field.")
    for path in mask.paths:
        top = path.partition(".")[0]
        if not mask.IsValidForDescriptor(current.DESCRIPTOR) and top not in _fields(current):
            raise invalid(f"Invalid update_mask: there is no field {path!r}.")
        if top in _UNSUPPORTED:
            raise unsupported(_UNSUPPORTED[top])
        if top not in allowed:
            raise invalid(f"Invalid update_mask: {path!r} cannot be changed.")
    result = type(current)()
    result.CopyFrom(current)
    try:
        mask.MergeMessage(new, result, True, True)
    except ValueError as error:
        raise invalid(f"Invalid update_mask: {error}") from error
    return result


def _fields(resource: Any) -> Sequence[str]:
    return list(resource.DESCRIPTOR.fields_by_name)
