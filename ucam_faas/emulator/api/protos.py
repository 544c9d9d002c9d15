"""Google's own message classes for Pub/Sub and IAM. The one module that imports them.

They come with google-cloud-pubsub; a second copy of the definitions would clash with it in a
process that uses both.
"""

from __future__ import annotations

from typing import Any

from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import duration_pb2, empty_pb2, field_mask_pb2, json_format, timestamp_pb2
from google.pubsub_v1 import types
from google.rpc import error_details_pb2, status_pb2

Empty, FieldMask, Policy = empty_pb2.Empty, field_mask_pb2.FieldMask, policy_pb2.Policy
Timestamp, Duration = timestamp_pb2.Timestamp, duration_pb2.Duration
ErrorInfo, Status = error_details_pb2.ErrorInfo, status_pb2.Status
JsonError = json_format.Error
ParseError, ParseDict = json_format.ParseError, json_format.ParseDict


def pb(name: str) -> Any:
    """Return the plain class of a message of google.pubsub.v1."""
    return getattr(types, name).pb()


Topic = pb("Topic")
Subscription = pb("Subscription")
Snapshot = pb("Snapshot")
Schema = pb("Schema")
SchemaRevisions = pb("ListSchemaRevisionsResponse")
"""The form in which a schema is kept."""
PubsubMessage = pb("PubsubMessage")
ReceivedMessage = pb("ReceivedMessage")
PublishResponse = pb("PublishResponse")
PullResponse = pb("PullResponse")
StreamingPullRequest = pb("StreamingPullRequest")
StreamingPullResponse = pb("StreamingPullResponse")

Methods = dict[str, tuple[Any, Any]]
"""The methods of a service by name, each with its request class and its response class."""


def _methods(**table: Any) -> Methods:
    return {
        name: (pb(f"{name}Request"), pb(answer) if isinstance(answer, str) else answer)
        for name, answer in table.items()
    }


PUBLISHER: Methods = _methods(
    UpdateTopic="Topic",
    Publish="PublishResponse",
    GetTopic="Topic",
    ListTopics="ListTopicsResponse",
    ListTopicSubscriptions="ListTopicSubscriptionsResponse",
    ListTopicSnapshots="ListTopicSnapshotsResponse",
    DeleteTopic=Empty,
    DetachSubscription="DetachSubscriptionResponse",
) | {"CreateTopic": (Topic, Topic)}

SUBSCRIBER: Methods = _methods(
    GetSubscription="Subscription",
    UpdateSubscription="Subscription",
    ListSubscriptions="ListSubscriptionsResponse",
    DeleteSubscription=Empty,
    ModifyAckDeadline=Empty,
    Acknowledge=Empty,
    Pull="PullResponse",
    ModifyPushConfig=Empty,
    GetSnapshot="Snapshot",
    ListSnapshots="ListSnapshotsResponse",
    CreateSnapshot="Snapshot",
    UpdateSnapshot="Snapshot",
    DeleteSnapshot=Empty,
    Seek="SeekResponse",
) | {"CreateSubscription": (Subscription, Subscription)}

SCHEMAS: Methods = _methods(
    CreateSchema="Schema",
    GetSchema="Schema",
    ListSchemas="ListSchemasResponse",
    ListSchemaRevisions="ListSchemaRevisionsResponse",
    CommitSchema="Schema",
    RollbackSchema="Schema",
    DeleteSchemaRevision="Schema",
    DeleteSchema=Empty,
    ValidateSchema="ValidateSchemaResponse",
    ValidateMessage="ValidateMessageResponse",
)

IAM: Methods = {
    "SetIamPolicy": (iam_policy_pb2.SetIamPolicyRequest, Policy),
    "GetIamPolicy": (iam_policy_pb2.GetIamPolicyRequest, Policy),
    "TestIamPermissions": (
        iam_policy_pb2.TestIamPermissionsRequest,
        iam_policy_pb2.TestIamPermissionsResponse,
    ),
}


def to_dict(message: Any) -> Any:
    """Return a message as Google's JSON has it: lowerCamelCase, bytes in base64."""
    return json_format.MessageToDict(message)


def type_name(schema: Any) -> str:
    """Return a schema's type: AVRO or PROTOCOL_BUFFER."""
    return _name_in(schema.DESCRIPTOR.enum_types_by_name["Type"], schema.type_)


def encoding_name(encoding: int) -> str:
    """Return the name of an encoding: JSON or BINARY."""
    return _name_in(pb("SchemaSettings").DESCRIPTOR.fields_by_name["encoding"].enum_type, encoding)


def _name_in(enum: Any, number: int) -> str:
    value = enum.values_by_number.get(number)
    return str(number) if value is None else str(value.name)


def seconds(duration: Any) -> float:
    """Return a Duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def epoch(timestamp: Any) -> float:
    """Return a Timestamp in epoch seconds."""
    return float(timestamp.seconds + timestamp.nanos / 1e9)


def timestamp(time: float) -> Any:
    """Return epoch seconds as a Timestamp, to the microsecond."""
    seconds, microseconds = divmod(round(time * 1e6), 1_000_000)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)
