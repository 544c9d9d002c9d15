"""Reference B: a bare ASGI application that does the same, the parse and the line in a thread."""

import asyncio
import base64
import json
import time

from payload import Order, log_line


def handle(body: bytes) -> None:
    started = time.perf_counter()
    push = json.loads(body)
    message = push["message"]
    Order.model_validate_json(base64.b64decode(message["data"]))
    log_line(message, push["subscription"], started, time.perf_counter())


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    event = await receive()
    body = event["body"]
    while event.get("more_body"):
        event = await receive()
        body += event["body"]
    await asyncio.get_running_loop().run_in_executor(None, handle, body)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"OK"})
