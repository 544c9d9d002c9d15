"""Settings of every test; fixtures that several rooms use are in `support/`."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.contract.publisher_contract")
pytest_plugins = ["tests.support.leaks", "tests.support.log", "tests.support.sources"]

for name in ("COLUMNS", "LINES"):
    # pytest imports readline, which exports the terminal's size behind Python's back: processes
    # that tests start would format their output for the width of the developer's terminal.
    os.environ.pop(name, None)
    os.unsetenv(name)

# Machines are shared and slow at times; and in CI a run doesn't depend on chance.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
