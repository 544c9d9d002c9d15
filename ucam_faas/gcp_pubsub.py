"""Where 1.0 kept these names; import them from `ucam_faas` in new code."""

from ucam_faas.events.messages import (
    PUBSUB_MESSAGE_TYPE,
    PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
    TOPIC_PATH,
    MessagePublishedData,
    PubsubMessage,
)

PUBSUB_CLOUD_EVENT_TOPIC_PATTERN = TOPIC_PATH

__all__ = [
    "PUBSUB_CLOUD_EVENT_TOPIC_PATTERN",
    "PUBSUB_MESSAGE_TYPE",
    "PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE",
    "MessagePublishedData",
    "PubsubMessage",
]
