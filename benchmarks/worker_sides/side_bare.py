"""google-cloud-pubsub's `subscribe(callback)`, as it comes: parse, log a line, acknowledge."""

from __future__ import annotations

import os
import threading
import time

import counting
from google.cloud import pubsub_v1
from payload import Order, log_line

counter, lock, done = counting.Counter(), threading.Lock(), threading.Event()
SUBSCRIPTION = "projects/local/subscriptions/order"
WITH_LINES = os.environ.get("WORKER_LINES") != "0"


def callback(message: pubsub_v1.subscriber.message.Message) -> None:
    started = time.perf_counter()
    Order.model_validate_json(message.data)
    if WITH_LINES:
        fields = {
            "messageId": message.message_id,
            "publishTime": message.publish_time.isoformat(),
        }
        log_line(fields, SUBSCRIPTION, started, time.perf_counter())
    message.ack()
    with lock:
        if counter.add():
            done.set()


subscriber = pubsub_v1.SubscriberClient()
future = subscriber.subscribe(SUBSCRIPTION, callback)
done.wait()
future.cancel()
future.result()
