"""Tasks that get jobs, and send them."""

from __future__ import annotations

import ucam_faas


@ucam_faas.message_handler
def charge(pence: int) -> int:
    """Charge a customer."""
    return pence


@ucam_faas.message_handler(sends=[charge])
def split(amounts: list[int]) -> list[str]:
    """Charge several amounts."""
    return [charge.send(pence).id for pence in amounts]


@ucam_faas.message_handler(run_as="worker", sends=[charge])
def render(frames: int) -> str:
    """Render a film, and charge for it."""
    return charge.send(frames).id
