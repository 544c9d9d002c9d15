"""Faults in valid Terraform: they contradict the module's purpose."""

from __future__ import annotations

from tests.terraform.faults import MODULE_TESTS, NOTHING, Edit, Fault

from .places import ERRORS, KEEPER, PUSH, SCHEDULE, SERVICE, change

IN_MEANING = [
    Fault(
        what="subscriptions expire after a month without messages",
        edits=change(PUSH, 'ttl = ""', 'ttl = "2678400s"'),
        layer=MODULE_TESTS,
        says="subscriptions.tftest.hcl",
    ),
    Fault(
        what="the service can be called from everywhere",
        edits=change(SERVICE, "var.function.ingress", '"INGRESS_TRAFFIC_ALL"'),
        layer=MODULE_TESTS,
        says="container.tftest.hcl",
    ),
    Fault(
        what="the service can be deleted by mistake",
        edits=change(SERVICE, "var.function.deletion_protection", "false"),
        layer=MODULE_TESTS,
        says="container.tftest.hcl",
    ),
    Fault(
        what="a paused schedule runs",
        edits=change(SCHEDULE, "each.value.paused", "false"),
        layer=MODULE_TESTS,
        says="schedules.tftest.hcl",
    ),
    Fault(
        what="the schedule's time zone is forgotten",
        edits=change(SCHEDULE, "time_zone = each.value.time_zone", ""),
        layer=MODULE_TESTS,
        says="schedules.tftest.hcl",
    ),
    Fault(
        what="the dead letters that wait are kept for ten minutes",
        edits=change(KEEPER, '"2678400s"', '"600s"'),
        layer=MODULE_TESTS,
        says="subscriptions.tftest.hcl",
    ),
    Fault(
        what="the two times of the retry policy are swapped",
        edits=change(
            PUSH,
            'minimum_backoff = "${each.value.retry.min',
            'minimum_backoff = "${each.value.retry.max',
        ),
        layer=MODULE_TESTS,
        says="subscriptions.tftest.hcl",
    ),
    Fault(
        what="the token is for another audience",
        edits=change(
            PUSH,
            "audience              = push_config.value",
            'audience = "orders"',
        ),
        layer=MODULE_TESTS,
        says="subscriptions.tftest.hcl",
    ),
    Fault(
        what="a metric that Cloud Monitoring does not have",
        edits=change(
            ERRORS,
            "denominator_filter = local.request_count",
            'denominator_filter = replace(local.request_count, "request_count", "requests")',
        ),
        layer=MODULE_TESTS,
        says="alerts.tftest.hcl",
    ),
    Fault(
        what="instances start without more CPU",
        edits=change(SERVICE, "startup_cpu_boost = true\n      }", "}"),
        layer=MODULE_TESTS,
        says="container.tftest.hcl",
    ),
    Fault(
        what="the task doesn't know its collector",
        edits=(Edit("main.tf", "", "local.telemetry_environment,", ""),),
        layer=MODULE_TESTS,
        says="telemetry.tftest.hcl",
    ),
    Fault(
        what="the task doesn't wait for its collector",
        edits=(Edit("telemetry.tf", "", "if sidecar.port != null", "if sidecar.path == null"),),
        layer=MODULE_TESTS,
        says="telemetry.tftest.hcl",
    ),
    Fault(
        what="a pipeline of the collector has a processor that isn't there",
        edits=(
            Edit(
                "collector.yaml",
                "",
                "processors: [memory_limiter, resourcedetection, resource]",
                "processors: [batch]",
            ),
        ),
        layer=MODULE_TESTS,
        says="telemetry.tftest.hcl",
    ),
    Fault(
        what="a version of the provider that there is not",
        edits=(Edit("versions.tf", "", '">= 7.33, < 9"', '">= 99.0"'),),
        layer=NOTHING,
        says="terraform init: with the stand-in attached it does not look for versions",
    ),
]
