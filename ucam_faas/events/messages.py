"""The Pub/Sub message as a model, and Pub/Sub's names.

Sources: Google's pages "PubsubMessage", "Push subscriptions" and "Quotas and limits".
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    field_serializer,
)
from pydantic_core import CoreSchema, core_schema

from ucam_faas.events.fail_fast import StopsAtFirstError

PUBSUB_MESSAGE_TYPE: Literal["type.googleapis.com/google.pubsub.v1.PubsubMessage"] = (
    "type.googleapis.com/google.pubsub.v1.PubsubMessage"
)
"""The `type` of a `PubsubMessage`."""
PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE: Literal["google.cloud.pubsub.topic.v1.messagePublished"] = (
    "google.cloud.pubsub.topic.v1.messagePublished"
)
"""The type of the CloudEvents that Eventarc makes of Pub/Sub's messages."""

TOPIC_PATH = re.compile(r"projects/(?P<project>[^/]+)/topics/(?P<topic>[^/]+)")
SUBSCRIPTION_PATH = re.compile(r"projects/(?P<project>[^/]+)/subscriptions/(?P<subscription>[^/]+)")


class _Base64:
    """Reads a str in a Python value as base64, too; the JSON parser does so by itself."""

    def __get_pydantic_core_schema__(
        self, source: type[bytes], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        in_python = core_schema.no_info_before_validator_function(_from_base64, schema)
        return core_schema.json_or_python_schema(schema, in_python)


def _from_base64(data: Any) -> Any:
    """Return bytes for base64; leave all else to pydantic.

    Raises:
        ValueError: it isn't base64.
    """
    return base64.b64decode(data, validate=True) if isinstance(data, str) else data


class PubsubMessage(BaseModel):
    """One Pub/Sub message.

    From JSON, or what `json.loads` makes of it, `data` is base64 and both spellings of each name
    are read; in Python it is bytes.
    `model_dump(mode="json", by_alias=True)` has the names of Google's JSON.

    >>> PubsubMessage.model_validate_json('{"data": "aGk=", "messageId": "7"}').data
    b'hi'
    """

    model_config = ConfigDict(val_json_bytes="base64", populate_by_name=True, frozen=True)

    type: str = Field(
        default=PUBSUB_MESSAGE_TYPE,
        validation_alias=AliasChoices("@type", "type"),
        serialization_alias="@type",
    )
    data: Annotated[bytes, _Base64()] = b""
    attributes: Annotated[dict[str, str], StopsAtFirstError()] = Field(default_factory=dict)
    message_id: str = Field(
        default="",
        validation_alias=AliasChoices("messageId", "message_id"),
        serialization_alias="messageId",
    )
    publish_time: datetime | None = Field(
        default=None,
        validation_alias=AliasChoices("publishTime", "publish_time"),
        serialization_alias="publishTime",
    )
    ordering_key: str = Field(
        default="",
        validation_alias=AliasChoices("orderingKey", "ordering_key"),
        serialization_alias="orderingKey",
    )

    @field_serializer("data", when_used="json")
    def _to_base64(self, data: bytes) -> str:
        """Use the standard alphabet, as Pub/Sub does; pydantic's own is the URL-safe one."""
        return base64.b64encode(data).decode()


class MessagePublishedData(BaseModel):
    """The content of a push: a message and its subscription.

    It is the body of a wrapped push and the data of a CloudEvent of the type
    `google.cloud.pubsub.topic.v1.messagePublished`.
    """

    model_config = ConfigDict(val_json_bytes="base64", populate_by_name=True, frozen=True)

    message: PubsubMessage
    subscription: str = ""
    delivery_attempt: int | None = Field(
        default=None,
        validation_alias=AliasChoices("deliveryAttempt", "delivery_attempt"),
        serialization_alias="deliveryAttempt",
    )
