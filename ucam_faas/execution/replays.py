"""Replays: the message of a dead letter, sent again to its task alone."""

from __future__ import annotations

from ucam_faas.events.messages import MessagePublishedData

REPLAY_ID_ATTRIBUTE = "ucam_faas_replay_id"
"""The id of one replay. A message that comes twice with the same id is the same replay."""
REPLAYS_ATTRIBUTE = "ucam_faas_replays"
"""How often the message was replayed, from 1."""


def is_uncounted(published: MessagePublishedData) -> bool:
    """Return True for a replay whose attempts Pub/Sub doesn't count: it would come for days."""
    message, attempt = published.message, published.delivery_attempt
    return attempt is None and REPLAY_ID_ATTRIBUTE in message.attributes
