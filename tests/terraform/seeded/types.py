"""Faults that the provider's schema reveals: names, types, blocks, references."""

from __future__ import annotations

from tests.terraform.faults import VALIDATE, Edit, Fault

from .places import INVOKER, KEEPER, PUSH, SERVICE, TRIGGER, change, remove

AGAINST_THE_SCHEMA = [
    Fault(
        what="a misspelt attribute",
        edits=change(PUSH, "ack_deadline_seconds       =", "ack_deadline_second ="),
        layer=VALIDATE,
        says='"ack_deadline_second" is not expected here',
    ),
    Fault(
        what="a required attribute is missing",
        edits=change(PUSH, "topic                      = local.topic_names[each.value.topic]", ""),
        layer=VALIDATE,
        says='"topic" is required',
    ),
    Fault(
        what="a misspelt block",
        edits=change(PUSH, "retry_policy {", "retry_polcy {"),
        layer=VALIDATE,
        says='"retry_polcy" are not expected here',
    ),
    Fault(
        what="a misspelt type of resource",
        edits=(
            Edit("pubsub.tf", "", '"google_pubsub_topic" "trigger"', '"google_pubsub_topik" "t"'),
        ),
        layer=VALIDATE,
        says="google_pubsub_topik",
    ),
    Fault(
        what="a block is written as an attribute",
        edits=change(
            PUSH, 'expiration_policy {\n    ttl = ""', 'expiration_policy = {\n    ttl = ""'
        ),
        layer=VALIDATE,
        says='"expiration_policy" is not expected here',
    ),
    Fault(
        what="a block is there twice, and may be there once",
        edits=change(PUSH, "retry_policy {", 'expiration_policy { ttl = "" }\n  retry_policy {'),
        layer=VALIDATE,
        says='No more than 1 "expiration_policy" blocks',
    ),
    Fault(
        what="a required attribute of a nested block is missing",
        edits=change(PUSH, "service_account_email = local.push_email", ""),
        layer=VALIDATE,
        says='"service_account_email" is required',
    ),
    Fault(
        what="a text where a number belongs",
        edits=change(KEEPER, "ack_deadline_seconds       = 60", 'ack_deadline_seconds = "soon"'),
        layer=VALIDATE,
        says="a number is required",
    ),
    Fault(
        what="an attribute is set that only the provider sets",
        edits=change(TRIGGER, "kms_key_name", "effective_labels = {}\n  kms_key_name"),
        layer=VALIDATE,
        says="effective_labels is decided by the provider",
    ),
    Fault(
        what="a reference to a resource that is not there",
        edits=change(INVOKER, "local.push_email", "google_service_account.pusher[0].email"),
        layer=VALIDATE,
        says='"google_service_account" "pusher" has not been declared',
    ),
    Fault(
        what="a reference to an attribute that a resource does not have",
        edits=change(INVOKER, "local.push_email", "google_service_account.push[0].mail"),
        layer=VALIDATE,
        says='no argument, nested block, or exported attribute named "mail"',
    ),
    Fault(
        what="a grant is removed to which others refer",
        edits=remove(INVOKER),
        layer=VALIDATE,
        says='"google_cloud_run_v2_service_iam_member" "push" has not been declared',
    ),
    Fault(
        what="an attribute of a variable that it does not have",
        edits=change(SERVICE, "var.function.ingress", "var.function.ingres"),
        layer=VALIDATE,
        says='does not have an attribute named "ingres"',
    ),
]
