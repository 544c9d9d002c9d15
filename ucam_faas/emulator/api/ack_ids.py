"""Ack ids as text: `QUEUE-MESSAGE-LEASE`, three numbers. Only the wire has them in this form."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ucam_faas.emulator.core.lease import AckId
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError, invalid

_ACK_ID = re.compile(r"(\d{1,12})-(\d{1,18})-(\d{1,18})", re.ASCII)


def write(ack_id: AckId) -> str:
    """Return an ack id as subscribers get it."""
    return f"{ack_id.queue}-{ack_id.number}-{ack_id.token}"


def read(ack_ids: Iterable[str], queue: Queue) -> list[AckId]:
    """Return the ack ids of a queue's leases.

    Raises:
        RpcError: INVALID_ARGUMENT: one of them is malformed, or of another subscription.
    """
    return [_read(text, queue) for text in ack_ids]


def _read(text: str, queue: Queue) -> AckId:
    match = _ACK_ID.fullmatch(text)
    if match is None:
        raise _bad(text, "Expected one that came with a message.")
    ack_id = AckId(int(match[1]), int(match[2]), int(match[3]))
    if ack_id.queue != queue.number:
        raise _bad(text, "It is of another subscription.")
    return ack_id


def _bad(text: str, reason: str) -> RpcError:
    shown = text[:100]
    return invalid(f"You have passed an invalid ack ID to the service (ack_id={shown}). {reason}")


def stale(ids: Iterable[AckId]) -> RpcError:
    """Return the error for ack ids that no longer count (with exactly-once delivery)."""
    return RpcError(
        "INVALID_ARGUMENT",
        "Some acknowledgement ids in the request were invalid: they have expired.",
        reason="PERMANENT_FAILURE_INVALID_ACK_ID",
        metadata={write(ack_id): "PERMANENT_FAILURE_INVALID_ACK_ID" for ack_id in ids},
    )
