"""The gRPC connection to Pub/Sub, on the event loop. The worker imports grpc only here."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.worker import protos

HOST = "pubsub.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/pubsub"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # An error names each ack id that was refused; one that is too long looks like a passing one.
    ("grpc.max_metadata_size", 4 * 1024 * 1024),
    # A connection that was cut silently is noticed after this, and made again.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC would let two minutes pass between its tries to connect.
    ("grpc.max_reconnect_backoff_ms", 10_000),
)
RpcError, InternalError = grpc.aio.AioRpcError, grpc.aio.InternalError
END = grpc.aio.EOF
"""Read from a stream that has ended."""
_PASSING = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)


class Connection:
    """Calls Pub/Sub's subscriber API. It belongs to one event loop.

    Args:
        settings: name the emulator; none: Google's Pub/Sub, as the account of the environment.

    Raises:
        ConfigurationError: the environment has no credentials for Google.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_emulator = settings.pubsub_emulator is not None
        if settings.pubsub_emulator is not None:
            self._channel = grpc.aio.insecure_channel(settings.pubsub_emulator, _OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(HOST, _credentials(), _OPTIONS)
        self.get_subscription = self._unary("GetSubscription", protos.Subscription)
        self.create_subscription = self._unary("CreateSubscription", protos.Subscription)
        self.create_topic = self._unary("CreateTopic", protos.Topic, service="Publisher")
        self.acknowledge = self._unary("Acknowledge", protos.Empty)
        self.modify_ack_deadline = self._unary("ModifyAckDeadline", protos.Empty)
        self.streaming_pull: Any = self._channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=protos.StreamingPullRequest.SerializeToString,
            response_deserializer=protos.StreamingPullResponse.FromString,
        )

    async def close(self) -> None:
        """Close the connection; calls under way fail."""
        await self._channel.close()

    def _unary(self, method: str, response: Any, service: str = "Subscriber") -> Any:
        return self._channel.unary_unary(
            f"/google.pubsub.v1.{service}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )


def is_passing(error: Any) -> bool:
    """Return True if the same call may succeed later."""
    return isinstance(error, RpcError) and error.code() in _PASSING


def code_of(error: Any) -> str:
    """Return an error's name: `NOT_FOUND`."""
    return str(error.code().name)


def _credentials() -> Any:
    """Return the application default credentials, as gRPC takes them."""
    import google.auth
    import google.auth.transport.grpc
    import google.auth.transport.requests

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise ConfigurationError(
            f"The environment has no credentials for Google's Pub/Sub: {error} On a laptop, set "
            "PUBSUB_EMULATOR_HOST, or run: gcloud auth application-default login"
        ) from error
    request = google.auth.transport.requests.Request()
    plugin = google.auth.transport.grpc.AuthMetadataPlugin(credentials, request, default_host=HOST)
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin)
    )
