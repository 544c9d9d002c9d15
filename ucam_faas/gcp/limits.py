"""Pub/Sub's limits and its backoff, Cloud Run's usual concurrency and its quota of CPUs.

Sources: Google's pages "Quotas and limits", "Handle message failures", "Maximum concurrent
requests for services" and "About maximum instances".
"""

from __future__ import annotations

MAX_MESSAGE_BYTES = 10 * 1024 * 1024
"""Size limit of one message, data and attributes together; and of a publish request."""
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
MIN_ACK_DEADLINE_SECONDS, MAX_ACK_DEADLINE_SECONDS = 10, 600
MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS = 600, 31 * 24 * 3600
"""How long a subscription keeps a message."""
REQUESTS_OF_AN_INSTANCE = 80
"""The most that Cloud Run sends to an instance at a time, by default."""
CPU_QUOTA = 20
"""The CPUs that a region grants a new project. Google documents no number: this is the one in
Cloud Run's own refusals (`CpuAllocPerProjectRegion … allowed: 20000`, in thousandths of a CPU)."""
QUOTA_GIBIBYTES_FOR_A_CPU = 2
"""The regional quota of memory, for each CPU of that of CPUs."""


def backoff_seconds(least: float, most: float, failures: int) -> float:
    """Return the wait after a number of failures: exponential, from the least to the most.

    That each wait is twice the one before is our reading of Google's page; Pub/Sub's vary.

    >>> [backoff_seconds(10, 60, failures) for failures in (1, 2, 3, 4)]
    [10.0, 20.0, 40.0, 60]
    """
    # 2 ** 60 s is longer than any limit, and a float still.
    return min(least * 2.0 ** min(failures - 1, 60), most)
