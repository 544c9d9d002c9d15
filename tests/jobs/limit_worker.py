"""A process that runs jobs of a limited task: `python -m tests.jobs.limit_worker STORE`.

It delivers wakes as the cloud might: those of its own ends first, and else one of any job.
"""

from __future__ import annotations

import os
import random
import sys

from tests.trials.tasks import limited
from ucam_faas.config import Settings
from ucam_faas.execution import inbox
from ucam_faas.execution.runtime import store_of
from ucam_faas.job_runs import claims
from ucam_faas.jobs.states import LIVE
from ucam_faas.testing import MemoryPublisher, make_message, make_push, serve

INBOX = "limited-inbox"
JOBS = 100


def main() -> None:
    """Deliver wakes until all jobs have ended."""
    claims.MARGIN_SECONDS = 0.5  # of a lease, which the others wait for
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    store = store_of(Settings(job_store=sys.argv[1], firestore_emulator=emulator))
    assert store is not None
    publisher = MemoryPublisher({INBOX: []})
    with serve(limited, store=store, publisher=publisher) as client:
        while live := store.find("default", states=LIVE, limit=JOBS):
            wakes = [message.attributes[inbox.JOB_ATTRIBUTE] for message in publisher.topics[INBOX]]
            publisher.topics[INBOX].clear()
            for id in wakes or [random.choice(live).key.id]:
                message = make_message(b"", attributes={inbox.JOB_ATTRIBUTE: id})
                push = make_push(message)
                client.post("/limited/inbox", body=push.body, headers=push.headers)
    store.close()


if __name__ == "__main__":
    main()
