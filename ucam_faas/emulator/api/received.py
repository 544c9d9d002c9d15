"""From leased messages to the ReceivedMessages of Pull and StreamingPull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.emulator.api import ack_ids, protos
from ucam_faas.emulator.core.lease import Lease
from ucam_faas.emulator.core.queues import Queue


def received(queue: Queue, leases: Sequence[Lease]) -> list[Any]:
    """Return ReceivedMessages; with a dead-letter policy, with the number of the attempt."""
    counted = bool(queue.rules.dead_letter_topic)
    messages = []
    make, message_class = protos.ReceivedMessage, protos.PubsubMessage
    last_time, stamp = None, None
    for message, ack_id, attempt in leases:
        if message.time != last_time:
            last_time, stamp = message.time, protos.timestamp(message.time)
        wire = message_class(
            data=message.data,
            attributes=message.attributes or None,
            message_id=str(message.number),
            publish_time=stamp,
            ordering_key=message.key,
        )
        messages.append(
            make(
                ack_id=ack_ids.write(ack_id),
                message=wire,
                delivery_attempt=attempt if counted else 0,
            )
        )
    return messages
