"""The backends of a folder with a `ucam-faas dev`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.history import published, write
from ucam_faas import local_state
from ucam_faas.dashboard.app import make_app
from ucam_faas.dashboard.local import LocalBackends
from ucam_faas.history.database import FILE
from ucam_faas.local_state import FOLDER, LocalCloud

from .asgi import call


@pytest.mark.parametrize("keeps", [True, False], ids=["with a history", "with --memory"])
def test_the_history_of_an_earlier_session_is_not_shown_as_this_ones(
    tmp_path: Path, keeps: bool
) -> None:
    history = local_state.make_home(tmp_path) / FILE
    write(history, [])
    cloud = LocalCloud(
        pubsub="127.0.0.1:1",
        scheduler="127.0.0.1:1",
        project="local",
        jobs=f"sqlite:{tmp_path / FOLDER / 'jobs.db'}",
        history=str(history) if keeps else "",
    )

    local_state.write(tmp_path, cloud)

    assert (LocalBackends(tmp_path)().history is not None) == keeps


def test_without_a_dev_its_history_is_shown_and_how_to_act_is_said(tmp_path: Path) -> None:
    write(local_state.make_home(tmp_path) / FILE, [published("17")])
    backends = LocalBackends(tmp_path)

    page = call(make_app(backends), "GET", "/messages").text

    assert "No <code>ucam-faas dev</code> runs here: this is its history." in page
    assert "/messages/17" in page
