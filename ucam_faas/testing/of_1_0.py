"""Names of 1.0's `ucam_faas.testing` that 2.0 keeps for its users."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import new_class
from typing import TYPE_CHECKING, Any, Protocol

from ucam_faas._optional import require

if TYPE_CHECKING:
    from flask.testing import FlaskClient

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class CreateEventAppClientFn(Protocol):
    """The type of the fixture `event_app_test_client_factory`."""

    def __call__(self, target: str, source: str | Path | None = None) -> FlaskClient:
        """Return Flask's test client for one task of a source; default: ./main.py."""


def flask_client(send: Callable[..., Any]) -> FlaskClient:
    """Return Flask's test client for the application behind `Client.request`."""
    from flask import Flask, Response, request

    app = Flask("ucam_faas")

    def answer(path: str) -> Response:
        response = send(
            request.method,
            request.full_path.removesuffix("?"),
            body=request.get_data(),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        return Response(response.body, response.status, response.headers)

    app.add_url_rule("/", view_func=answer, defaults={"path": ""}, methods=_METHODS)
    app.add_url_rule("/<path:path>", view_func=answer, methods=_METHODS)
    return app.test_client()


@cache
def cloud_event_factory() -> Any:
    """Return the class CloudEventFactory.

    Raises:
        MissingExtraError: polyfactory is not installed.
    """
    purpose = "make CloudEvents with CloudEventFactory"
    factories = require("polyfactory.factories.pydantic_factory", extra="testing", purpose=purpose)
    from cloudevents.pydantic import CloudEvent

    members = {"__model__": CloudEvent, "specversion": "1.0", "__module__": "ucam_faas.testing"}
    return new_class(
        "CloudEventFactory", (factories.ModelFactory,), exec_body=lambda body: body.update(members)
    )
