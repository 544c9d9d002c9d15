"""A missing optional dependency is named, with the command that installs it."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.sources import Sources
from ucam_faas._optional import check, require
from ucam_faas.exceptions import ConfigurationError, MissingExtraError

WANTED = {"extra": "pubsub", "purpose": "publish dead letters"}
MESSAGE = (
    "no_such_module is needed to publish dead letters, but isn't installed. "
    'Run: pip install "ucam-faas[pubsub]"'
)


def test_what_is_there_is_imported() -> None:
    assert require("json", **WANTED) is json


@pytest.mark.parametrize("find", [require, check])
def test_what_is_missing_is_an_error_with_the_command(find: object) -> None:
    with pytest.raises(MissingExtraError) as caught:
        find("no_such_module", **WANTED)  # type: ignore[operator]

    assert str(caught.value) == MESSAGE
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize("find", [require, check])
@pytest.mark.parametrize("module", ["no_such_module.part", "json.no_such_part", "json.decoder.x"])
def test_a_missing_part_is_an_error_too(find: object, module: str) -> None:
    with pytest.raises(MissingExtraError, match="ucam-faas"):
        find(module, **WANTED)  # type: ignore[operator]


def test_checking_imports_nothing(sources: Sources) -> None:
    sources.write("heavy_library.py", before="raise AssertionError('it was imported')")
    sys.path.insert(0, str(sources.root))

    check("heavy_library", **WANTED)

    assert "heavy_library" not in sys.modules
