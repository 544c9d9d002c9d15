"""The attributes of a replay: the message of a dead letter, sent again to its task alone."""

from __future__ import annotations

REPLAY_ID_ATTRIBUTE = "ucam_faas_replay_id"
"""The id of one replay. A message that comes twice with the same id is the same replay."""
REPLAYS_ATTRIBUTE = "ucam_faas_replays"
"""How often the message was replayed, from 1."""
