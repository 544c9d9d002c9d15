"""The model that all three sides parse, and a log line with the same fields."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from pydantic import BaseModel


class Order(BaseModel):
    order_id: str
    customer: str
    amount: float
    items: list[str]


def log_line(message: dict[str, object], subscription: str, started: float, ended: float) -> None:
    """Write the line that a plain service would write for Cloud Logging."""
    message_id = message.get("messageId", "")
    execution_id = "0123456789abcdef"
    line = {
        "severity": "INFO",
        "message": "function_completed",
        "time": datetime.now(UTC).isoformat(),
        "logging.googleapis.com/labels": {"execution_id": execution_id, "task": "order"},
        "task": "order",
        "outcome": "done",
        "execution_id": execution_id,
        "message_id": message_id,
        "subscription": subscription,
        "delivery_attempt": None,
        "duration_seconds": round(ended - started, 6),
        "execution_info": {
            "execution": {"status": "COMPLETED", "duration_seconds": ended - started},
            "execution_id": execution_id,
            "cloudevents": {
                "event_id": message_id,
                "event_source": "//pubsub.googleapis.com/" + subscription,
                "event_spec_version": "1.0",
                "event_type": "google.cloud.pubsub.topic.v1.messagePublished",
                "event_subject": None,
                "event_time": message.get("publishTime"),
            },
            "cloud_event_handler": {"input_event_accepted": True},
            "pubsub_message": {
                "type": "type.googleapis.com/google.pubsub.v1.PubsubMessage",
                "message_id": message_id,
                "publish_time": message.get("publishTime"),
            },
            "message_handler": {"input_message_accepted": True},
        },
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
