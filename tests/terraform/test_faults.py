"""The first layer that detects each fault, and the faults that only Google detects.

Each fault is planted in a fresh copy. The faults of `NOTHING` are proved too: the test fails once
a layer detects one of them.
"""

from __future__ import annotations

from collections import Counter

import pytest

from .cases import USES
from .conftest import Deploy
from .faults import NOTHING, Fault, found_by
from .fixtures import MakeTerraform
from .grants import grants_in
from .seeded.grants import IN_GRANTS
from .seeded.meaning import IN_MEANING
from .seeded.rules import AGAINST_GOOGLES_RULES
from .seeded.types import AGAINST_THE_SCHEMA
from .seeded.variables import IN_VARIABLES

pytestmark = pytest.mark.slow

FAULTS = [*AGAINST_THE_SCHEMA, *AGAINST_GOOGLES_RULES, *IN_GRANTS, *IN_MEANING, *IN_VARIABLES]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_found_where_it_is_said(
    fault: Fault, terraform: MakeTerraform, deploy: Deploy
) -> None:
    [use] = [use for use in USES if use.variables is fault.use]
    sound = deploy(use)
    planted = terraform(".")
    variables = fault.plant(planted.folder)

    layer, says = found_by(fault, planted, variables, grants_in(sound.state))

    assert layer == fault.layer, says
    assert layer == NOTHING or fault.says in says


def test_every_kind_of_fault_is_seeded() -> None:
    """At least 25 faults are found, and each layer finds some."""
    seeded = Counter(fault.layer for fault in FAULTS)

    assert sum(seeded.values()) - seeded[NOTHING] >= 25
    assert len(seeded) == 6
    assert len({fault.what for fault in FAULTS}) == len(FAULTS)
