"""Surroundings of an examination, in an empty folder and environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.config import Settings
from ucam_faas.doctor.surroundings import Surroundings

Make = Callable[..., Surroundings]


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make surroundings; variables are given by their names."""
    monkeypatch.chdir(tmp_path)

    def make(
        *, cloud: Any = None, google: bool = False, has_local: bool = True, **environ: str
    ) -> Surroundings:
        whole = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], **environ}
        for name, value in whole.items():
            monkeypatch.setenv(name, value)
        return Surroundings(
            folder=tmp_path,
            environ=whole,
            settings=Settings.from_environ(whole),
            cloud=cloud,
            google=google,
            has_local=has_local,
        )

    return make
