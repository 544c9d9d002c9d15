"""The local cloud in tests: an embedded Pub/Sub in this process, and tasks that it pushes to.

The fixtures `ucam_faas_pubsub` and `ucam_faas_local` give these out; `docs/testing.md` shows how.
"""

from ucam_faas.testing.cloud import (
    Deliveries,
    EmbeddedCloud,
    LocalCloudFactory,
    LocalExecution,
)
from ucam_faas.testing.not_idle import NotIdleError
from ucam_faas.testing.pubsub import EmbeddedPubsub

__all__ = [
    "Deliveries",
    "EmbeddedCloud",
    "EmbeddedPubsub",
    "LocalCloudFactory",
    "LocalExecution",
    "NotIdleError",
]
