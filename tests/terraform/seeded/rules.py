"""Faults against Google's limits, in the module's own files."""

from __future__ import annotations

from tests.terraform.cases import JOB
from tests.terraform.faults import PLAN, VALIDATE, Fault

from .places import (
    DEAD_LETTER_TOPIC,
    ERRORS,
    INVOKER,
    KEEPER,
    PUSH,
    RUN_TIME,
    SCHEDULE,
    SERVICE,
    TOKEN,
    change,
)

AGAINST_GOOGLES_RULES = [
    Fault(
        what="a value that is not in the documented list",
        edits=change(ERRORS, "COMPARISON_GT", "COMPARISON_MORE"),
        layer=VALIDATE,
        says="comparison is 'COMPARISON_MORE'",
    ),
    Fault(
        what="a number out of Google's range",
        edits=change(SCHEDULE, "retry_count          = 3", "retry_count = 9"),
        layer=VALIDATE,
        says="expected 0 to 5",
    ),
    Fault(
        what="a duration out of Google's range",
        edits=change(KEEPER, '"2678400s"', '"2678401s"'),
        layer=VALIDATE,
        says="expected '600s' to '2678400s'",
    ),
    Fault(
        what="a role without its prefix",
        edits=change(TOKEN, '"roles/iam', '"iam'),
        layer=VALIDATE,
        says="expected roles/NAME",
    ),
    Fault(
        what="two ways of authentication of which Google takes one",
        edits=change(
            SCHEDULE,
            "oauth_token {",
            'oidc_token {\n service_account_email = "a@example.org"\n }\n oauth_token {',
        ),
        use=JOB,
        layer=PLAN,
        says="expected at most one of oauth_token, oidc_token",
    ),
    Fault(
        what="a variable of the container has a value and a secret",
        edits=change(SERVICE, "value_source {", 'value = "x"\n          value_source {'),
        layer=PLAN,
        says="expected at most one of value, value_source",
    ),
    Fault(
        what="a schedule without a target",
        edits=change(SCHEDULE, "local.is_job ? [] : [each.value]", "[]"),
        layer=PLAN,
        says="expected exactly one of pubsub_target",
    ),
    Fault(
        what="a member without its kind",
        edits=change(
            INVOKER,
            '"serviceAccount:${local.push_email}"',
            "local.push_email",
        ),
        layer=PLAN,
        says="expected a principal such as serviceAccount:EMAIL",
    ),
    Fault(
        what="a name that is put together wrongly",
        edits=change(DEAD_LETTER_TOPIC, "-dead-letter", " dead letter"),
        layer=PLAN,
        says="name is 'orders dead letter'",
    ),
    Fault(
        what="an account's id that is too long",
        edits=change(
            RUN_TIME, "${local.account_prefix}-runtime", "${var.name}-which-runs-the-task-itself"
        ),
        layer=PLAN,
        says="account_id is 'orders-which-runs-the-task-itself'",
    ),
    Fault(
        what="a key of an element of a map that is not there",
        edits=change(PUSH, "each.value.ack_deadline_seconds", "each.value.ack_deadline"),
        layer=PLAN,
        says='does not have an attribute named "ack_deadline"',
    ),
]
