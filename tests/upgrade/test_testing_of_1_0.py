"""Tests written with 1.0's `ucam_faas.testing` run unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ucam_faas.testing import CreateEventAppClientFn

SOURCE = """
import ucam_faas

@ucam_faas.raw_event
def shout(body: bytes) -> str:
    return body.decode().upper()

@ucam_faas.cloud_event
def count(data) -> None:
    if len(data) != 2:
        raise ucam_faas.UCAMFAASCouldNotProcess
"""
CONFTEST = 'pytest_plugins = ["ucam_faas.testing"]\n'
TEST = """
from cloudevents.conversion import to_dict
from ucam_faas.testing import CloudEventFactory

def test_a_target(event_app_test_client_factory):
    client = event_app_test_client_factory(target="count", source="main.py")
    event = CloudEventFactory.build(data={"a": 1})

    response = client.post("/", json=to_dict(event))

    assert response.status_code == 500
    assert "The function raised UCAMFAASCouldNotProcess" in response.data.decode()
"""


def test_a_target_is_served_to_flasks_test_client(
    event_app_test_client_factory: CreateEventAppClientFn, tmp_path: Path
) -> None:
    (tmp_path / "shouting.py").write_text(SOURCE)

    client = event_app_test_client_factory("shout", tmp_path / "shouting.py")

    response = client.post("/any/path?q=1", data=b"hello")
    assert (response.status_code, response.text) == (200, "HELLO")
    assert client.get("/healthy").text == "ok"
    assert client.get("/status").text == "ok"


@pytest.mark.slow
def test_the_factory_makes_valid_events_with_random_and_given_attributes() -> None:
    from ucam_faas.testing import CloudEventFactory  # importing polyfactory takes its time

    first, other = CloudEventFactory.build(type="t"), CloudEventFactory.build()

    assert (first.type, first.specversion) == ("t", "1.0")
    assert first.id != other.id
    assert type(first).model_validate(first.model_dump()) == first


@pytest.mark.slow
def test_a_conftest_may_name_the_module_as_a_plugin(tmp_path: Path) -> None:
    for name, text in (("conftest.py", CONFTEST), ("main.py", SOURCE), ("test_it.py", TEST)):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-W", "error"]

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
