"""An image that something else than Terraform deploys."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .cases import JOB, SERVICE, WORKER
from .fixtures import MakeTerraform
from .runner import TerraformError
from .test_module import changed

pytestmark = pytest.mark.slow
kinds = pytest.mark.parametrize(
    "variables", [SERVICE, WORKER, JOB], ids=["service", "worker", "job"]
)


def with_image(variables: dict[str, Any], image: str | None) -> dict[str, Any]:
    variables = copy.deepcopy(variables)
    variables["function"]["container_image"] = image
    return variables


@kinds
def test_a_plan_without_an_image_keeps_the_one_that_was_deployed_elsewhere(
    variables: dict[str, Any], terraform: MakeTerraform
) -> None:
    deployed = terraform(".")
    deployed.apply(with_image(variables, "image:1"))
    state = deployed.folder / "terraform.tfstate"
    known = state.read_bytes()
    deployed.apply(with_image(variables, "image:2"))
    state.write_bytes(known)  # as if something else had deployed it

    kept = changed(deployed.plan(with_image(variables, None)))
    rolled_back = changed(deployed.plan(with_image(variables, "image:1")))

    assert kept == {}
    assert list(rolled_back.values()) == [["update"]]


def test_the_first_apply_needs_an_image(terraform: MakeTerraform) -> None:
    with pytest.raises(TerraformError, match="services/orders not found"):
        terraform(".").plan(with_image(SERVICE, None))
