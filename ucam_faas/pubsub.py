"""The Pub/Sub message as a model, and Pub/Sub's names.

Sources: Google's pages "PubsubMessage", "Push subscriptions" and "Quotas and limits".
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_serializer

PUBSUB_MESSAGE_TYPE: Literal["type.googleapis.com/google.pubsub.v1.PubsubMessage"] = (
    "type.googleapis.com/google.pubsub.v1.PubsubMessage"
)
PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE: Literal["google.cloud.pubsub.topic.v1.messagePublished"] = (
    "google.cloud.pubsub.topic.v1.messagePublished"
)

TOPIC_PATH = re.compile(r"projects/(?P<project>[^/]+)/topics/(?P<topic>[^/]+)")
SUBSCRIPTION_PATH = re.compile(r"projects/(?P<project>[^/]+)/subscriptions/(?P<subscription>[^/]+)")


class PubsubMessage(BaseModel):
    """One Pub/Sub message.

    From JSON, `data` is base64 and both spellings of each name are read; in Python it is bytes.

    >>> PubsubMessage.model_validate_json('{"data": "aGk=", "messageId": "7"}').data
    b'hi'
    """

    model_config = ConfigDict(val_json_bytes="base64", populate_by_name=True, frozen=True)

    type: str = Field(default=PUBSUB_MESSAGE_TYPE, validation_alias=AliasChoices("@type", "type"))
    data: bytes = b""
    attributes: dict[str, str] = Field(default_factory=dict)
    message_id: str = Field(default="", validation_alias=AliasChoices("messageId", "message_id"))
    publish_time: datetime | None = Field(
        default=None, validation_alias=AliasChoices("publishTime", "publish_time")
    )
    ordering_key: str = Field(
        default="", validation_alias=AliasChoices("orderingKey", "ordering_key")
    )

    @field_serializer("data", when_used="json")
    def _to_base64(self, data: bytes) -> str:
        """Use the standard alphabet, as Pub/Sub does; pydantic's own is the URL-safe one."""
        return base64.b64encode(data).decode()


class MessagePublishedData(BaseModel):
    """What a push delivers: a message and where it comes from.

    It is the body of a wrapped push and the data of a CloudEvent of the type
    `google.cloud.pubsub.topic.v1.messagePublished`.
    """

    model_config = ConfigDict(val_json_bytes="base64", populate_by_name=True, frozen=True)

    message: PubsubMessage
    subscription: str = ""
    delivery_attempt: int | None = Field(
        default=None, validation_alias=AliasChoices("deliveryAttempt", "delivery_attempt")
    )
