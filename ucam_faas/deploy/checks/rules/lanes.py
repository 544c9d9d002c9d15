"""Rules of lanes: they need inboxes, and a job is sent to a lane that its receiver has."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.job_places import STORE
from ucam_faas.deploy.sent_jobs import sent_by


@rule("lanes-without-inbox", why="Its lanes are never used: each is an inbox of its own.")
def without_inbox(inputs: Inputs) -> Iterator[Finding]:
    """A task with lanes of its own that has no inbox."""
    for planned in inputs.receivers:
        stated = "lanes" in planned.task.own_options
        if stated and len(planned.task.lanes) > 1 and len(planned.subscriptions) < 2:
            yield Finding(
                decorated(planned.task),
                f"The task {planned.name!r} has lanes=, and no inbox.",
                f"Set {STORE} for it, name it in sends= of the tasks that send to it, or leave "
                "lanes= out.",
                planned.name,
            )


@rule("lane-missing", why="Sending fails, or the job runs in the lane default.")
def lane_missing(inputs: Inputs) -> Iterator[Finding]:
    """A task whose function sends jobs to a lane that the receiver doesn't have."""
    lanes = {planned.name: planned.task.lane_names for planned in inputs.receivers}
    for planned in inputs.planned:
        for sent in sent_by(planned.task):
            known = lanes.get(sent.receiver)
            if sent.lane is not None and known is not None and sent.lane not in known:
                yield Finding(
                    sent.place,
                    f"The task {planned.name!r} sends to the lane {sent.lane!r} of "
                    f"{sent.receiver!r}, which has {', '.join(known)}.",
                    "Correct the name, or add the lane to the receiver's lanes=.",
                    planned.name,
                    name=sent.receiver,
                )


RULES = (without_inbox, lane_missing)
