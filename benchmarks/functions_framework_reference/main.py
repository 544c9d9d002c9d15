"""Reference A: a plain functions-framework handler that does the same."""

import base64
import time

import functions_framework
from cloudevents.http import CloudEvent
from payload import Order, log_line


@functions_framework.cloud_event
def order(event: CloudEvent) -> None:
    started = time.perf_counter()
    message = event.data["message"]
    Order.model_validate_json(base64.b64decode(message["data"]))
    log_line(message, event.data.get("subscription", ""), started, time.perf_counter())
