"""How Google's publisher starts, which the contract of publishers leaves open.

The behaviour of every publisher is in `tests/contract`.
"""

from __future__ import annotations

import sys

import pytest

from ucam_faas.exceptions import MissingExtraError
from ucam_faas.publishing.google import GooglePublisher


def test_the_publisher_of_google_needs_its_extra_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.pubsub_v1", None)

    with pytest.raises(MissingExtraError, match=r'pip install "ucam-faas\[pubsub\]"'):
        GooglePublisher()


def test_the_publisher_of_google_asks_for_no_credentials_before_it_publishes() -> None:
    assert GooglePublisher() is not None
    assert GooglePublisher("localhost:1") is not None
