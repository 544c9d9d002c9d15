"""With the variables of authenticated pushes, pushes are signed here, and verified by the tasks."""

from __future__ import annotations

import base64
import json

import pytest

from tests.integration.processes import request

from .conftest import StartDev

pytestmark = pytest.mark.slow


def test_pushes_are_signed_and_verified(start_dev: StartDev) -> None:
    dev = start_dev(
        UCAM_FAAS_PUSH_AUDIENCE="https://tasks.example.org",
        UCAM_FAAS_PUSH_EMAIL="pusher@example.iam.gserviceaccount.com",
    )
    data = base64.b64encode(b'{"number": 2}').decode()
    body = json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"})

    dev.rest.publish("store", b'{"number": 1}')
    dev.rest.publish("clean_up", b"unwrapped")
    headers = {"Content-Type": "application/json"}
    unsigned = request(dev.port, "POST", "/store", body.encode(), headers)
    forged = request(
        dev.port, "POST", "/store", body.encode(), headers | {"Authorization": "Bearer a.b.c"}
    )

    dev.wait_effects("store", number=1)
    dev.wait_effects("clean_up", data="unwrapped")
    assert (unsigned.status, forged.status) == (401, 401)
    assert dev.effects("store", number=2) == []
    config = dev.rest.subscription("store")["pushConfig"]["oidcToken"]
    assert config == {
        "serviceAccountEmail": "pusher@example.iam.gserviceaccount.com",
        "audience": "https://tasks.example.org",
    }
