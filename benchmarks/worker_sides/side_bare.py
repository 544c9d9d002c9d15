"""google-cloud-pubsub's `subscribe(callback)`, as it comes: parse, log a line, acknowledge."""

from __future__ import annotations

import os
import threading
import time

import payload
from google.cloud import pubsub_v1

counter, lock, done = payload.Counter(), threading.Lock(), threading.Event()
WITH_LINES = os.environ.get("WORKER_LINES") != "0"


def callback(message: pubsub_v1.subscriber.message.Message) -> None:
    started = time.perf_counter()
    payload.Order.model_validate_json(message.data)
    if WITH_LINES:
        payload.log_line(message.message_id, started, time.perf_counter())
    message.ack()
    with lock:
        if counter.add():
            done.set()


subscriber = pubsub_v1.SubscriberClient()
future = subscriber.subscribe("projects/local/subscriptions/order", callback)
done.wait()
future.cancel()
future.result()
