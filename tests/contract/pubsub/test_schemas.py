"""Schemas of a project that has none: clients look for them when they start and when they end."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport

from tests.contract.behaviours import Group

from .backends import PubSub, refused

schemas = Group("Schemas")

BY_NAME = ["get_schema", "delete_schema", "list_schema_revisions"]


def call(pubsub: PubSub, method: str, **fields: Any) -> Any:
    """Call a method of the SchemaService, once."""
    with grpc.insecure_channel(f"127.0.0.1:{pubsub.port}") as channel:
        client = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))
        return getattr(client, method)(request=fields, retry=None, timeout=5)


@schemas("A project without schemas lists none.", docs="Schemas")
def test_none(pubsub: PubSub) -> None:
    assert list(call(pubsub, "list_schemas", parent=pubsub.project)) == []


@schemas("A schema that does not exist is NOT_FOUND.", docs="Error codes")
@pytest.mark.parametrize("method", BY_NAME)
def test_missing(pubsub: PubSub, method: str) -> None:
    with refused("NOT_FOUND"):
        call(pubsub, method, name=pubsub.name("schemas"))


@schemas("A malformed name of a schema is INVALID_ARGUMENT.", docs="Schemas")
@pytest.mark.parametrize("method", BY_NAME)
@pytest.mark.parametrize("name", ["", "abc", "projects/p-1/schemas/ab", "projects/p-1/topics/abc"])
def test_malformed(pubsub: PubSub, method: str, name: str) -> None:
    with refused():
        call(pubsub, method, name=name)


@schemas("GET lists no schemas over REST either, and one is 404.", docs="REST reference")
def test_rest(pubsub: PubSub) -> None:
    listed = pubsub.rest("GET", f"{pubsub.project}/schemas")
    missing = pubsub.rest("GET", pubsub.name("schemas"))

    assert (listed.status, json.loads(listed.body)) == (200, {})
    assert (missing.status, json.loads(missing.body)["error"]["status"]) == (404, "NOT_FOUND")
