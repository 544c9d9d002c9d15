"""Ack ids as text."""

from __future__ import annotations

import pytest

from ucam_faas.emulator.api import ack_ids
from ucam_faas.emulator.core.lease import AckId
from ucam_faas.emulator.errors import RpcError

from .world import World


def test_an_ack_id_survives_the_wire(world: World) -> None:
    queue = world.subscribe()
    ack_id = AckId(queue.number, 2, 3)

    assert ack_ids.read([ack_ids.write(ack_id)], queue) == [ack_id]


@pytest.mark.parametrize(
    "text", ["", "1-2", "1-2-3-4", "a-b-c", "-1-2-3", "1-2-3 ", "\u0661-2-3", "1" * 99]
)
def test_a_malformed_ack_id_is_refused(world: World, text: str) -> None:
    with pytest.raises(RpcError, match=r"Expected one that came with a message\."):
        ack_ids.read([text], world.subscribe())


def test_an_ack_id_of_another_subscription_is_refused(world: World) -> None:
    first, second = world.subscribe(), world.subscribe()

    with pytest.raises(RpcError, match=r"It is of another subscription\."):
        ack_ids.read([ack_ids.write(AckId(first.number, 2, 3))], second)
