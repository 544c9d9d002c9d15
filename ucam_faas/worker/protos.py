"""Google's plain message classes for pulling: without proto-plus, which would wrap each message."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2, json_format
from google.pubsub_v1 import types

Empty = empty_pb2.Empty
ParseDict = json_format.ParseDict


def _plain(name: str) -> Any:
    return getattr(types, name).pb()


Topic = _plain("Topic")
Subscription = _plain("Subscription")
GetSubscriptionRequest = _plain("GetSubscriptionRequest")
AcknowledgeRequest = _plain("AcknowledgeRequest")
ModifyAckDeadlineRequest = _plain("ModifyAckDeadlineRequest")
StreamingPullRequest = _plain("StreamingPullRequest")
StreamingPullResponse = _plain("StreamingPullResponse")
ReceivedMessage = _plain("ReceivedMessage")
