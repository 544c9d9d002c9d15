from __future__ import annotations

import pytest

from ucam_faas import testing

from . import main
from .main import Round, Stop, plan_round

STOPS = [
    {"customer": "Ada", "east": 2, "north": 2},
    {"customer": "Grace", "east": 0, "north": 1},
    {"customer": "Joan", "east": 0, "north": 2},
]


def test_the_shortest_round_is_planned() -> None:
    wanted = Round(van="7", stops=[Stop(**stop) for stop in STOPS])

    planned = plan_round(wanted)

    assert planned["kilometres"] == 6.8
    assert planned["customers"] in (["Grace", "Joan", "Ada"], ["Ada", "Joan", "Grace"])


def test_a_test_runs_the_function_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "length", lambda stops: 1.0)

    result = testing.run(plan_round, {"van": "7", "stops": STOPS}).result

    assert result["kilometres"] == 1.0


@pytest.mark.parametrize("count", [0, 10])
def test_a_round_of_no_or_too_many_stops_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="stops"):
        Round(van="7", stops=[Stop(**STOPS[0])] * count)
