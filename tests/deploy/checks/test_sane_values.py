"""Sound values that resemble a contradiction: the checks report nothing for them."""

from __future__ import annotations

import pytest

from .conftest import PLAN, Shop
from .seeded import LAST
from .seeded_telemetry import TELEMETRY_HARMLESS
from .seeded_values import HARMLESS

ALL_HARMLESS = HARMLESS | TELEMETRY_HARMLESS


@pytest.mark.parametrize("name", ALL_HARMLESS)
def test_a_sound_value_has_no_finding(shop: Shop, clean_plan: str, name: str) -> None:
    for file in (PLAN, LAST):
        shop.path(file).write_text(clean_plan)
    for edit in ALL_HARMLESS[name]:
        shop.edit(*edit)
    shop.plan()

    assert shop.check("--against", LAST) == []
