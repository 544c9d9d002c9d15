"""Deliveries at their worst: what Pub/Sub may do at any time, done to every message.

Each message comes at least twice: as two requests at once, as two one after the other, or again
because its acknowledgement got lost. Messages without an ordering key come late and in another
order. What happens to a message depends on the seed and the message alone, not on timing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from ucam_faas.emulator.lease import Delivery

LONGEST_DELAY_SECONDS = 0.03


class Trick(Enum):
    """What is done to a message, once; after that it is delivered as it should be."""

    TWICE_AT_ONCE = "delivered twice at once"
    TWICE = "delivered twice"
    LOST_ACK = "delivered again: its acknowledgement got lost"
    NONE = "delivered"


@dataclass(frozen=True, slots=True)
class Hostile:
    """Decides what is done to which delivery.

    Args:
        seed: another one: other decisions.
    """

    seed: int = 0

    def trick(self, delivery: Delivery) -> Trick:
        """Return what is done to a delivery; nothing after the first one of its message."""
        if delivery.attempt > 1:
            return Trick.NONE
        tricks = (Trick.TWICE_AT_ONCE, Trick.TWICE, Trick.LOST_ACK)
        return self._random(delivery, "trick").choice(tricks)

    def delay_seconds(self, delivery: Delivery) -> float:
        """Return how long a delivery is held back: those with an ordering key are not."""
        if delivery.message.key:
            return 0.0
        return self._random(delivery, "delay").random() * LONGEST_DELAY_SECONDS

    def _random(self, delivery: Delivery, purpose: str) -> random.Random:
        number, attempt = delivery.message.number, delivery.attempt
        return random.Random(f"{self.seed} {purpose} {number} {attempt}")
