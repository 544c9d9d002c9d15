"""Faults of telemetry for the clean collection, and sound settings that resemble them."""

from __future__ import annotations

from .seeded import CONFIG, Edit, Seed, setting
from .seeded_terraform import COUNT, SERVICE, TerraformSeed, drop, put

REQUIREMENTS = "requirements.txt"
LOCAL = 'environment = { OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318" }'
REMOTE = 'environment = { OTEL_EXPORTER_OTLP_ENDPOINT = "https://otlp.example.org" }'
SIDECAR = '[task.count_orders.sidecars.collector]\nimage = "a:1"\n'
OFF = (CONFIG, 'collector = "google-cloud"', 'collector = "none"')
TRACES = f'{COUNT}google_project_iam_member.role["roles/cloudtrace.agent on projects/my-project"]'
WITHOUT_EXTRA = (REQUIREMENTS, "ucam-faas[otel]", "ucam-faas")

TELEMETRY_SEEDS = [
    Seed(
        "a collector, and no extra to export to it",
        "telemetry-without-extra",
        (REQUIREMENTS, "ucam-faas"),
        (WITHOUT_EXTRA,),
        says="with which 'count_orders' would export",
    ),
    Seed(
        "another team's collector, and requirements without ucam-faas and the exporter",
        "telemetry-without-extra",
        (REQUIREMENTS, "# installed"),
        (OFF, setting("show_order", REMOTE), (REQUIREMENTS, "ucam-faas[otel]>=2.0\n", "")),
        says="with which 'show_order' would export",
    ),
    Seed(
        "the address of a collector, and no collector",
        "telemetry-unheard",
        (CONFIG, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (setting("show_order", LOCAL),),
        says="is http://localhost:4318, and no collector runs beside it",
    ),
    Seed(
        "a sidecar with the collector's name",
        "configuration-unusable",
        (CONFIG, "[task.count_orders.sidecars.collector]"),
        ((CONFIG, "[task.pay_back]\n", f"{SIDECAR}[task.pay_back]\n"),),
        planned=False,
        says="rename yours, or remove one of them",
    ),
    Seed(
        "an address of the collector beside the collector",
        "configuration-unusable",
        (CONFIG, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ((CONFIG, 'MODE = "strict"', 'MODE = "strict", OTEL_EXPORTER_OTLP_ENDPOINT = "http://c"'),),
        planned=False,
        says="environment= sets OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    Seed(
        "more instances than the quota allows with the collector",
        "instances-over-quota",
        (CONFIG, "max_instances = 11"),
        (setting("count_orders", "max_instances = 11"),),
        says="each with 2 CPUs and 1024 MiB: a quota of 20 CPUs in the region allows 10",
    ),
]
TELEMETRY_TERRAFORM_SEEDS = [
    TerraformSeed(
        "no grant to write spans",
        "role-refused",
        (drop(TRACES),),
        says="lacks roles/cloudtrace.agent on projects/my-project",
    ),
    TerraformSeed(
        "no collector",
        "terraform-differs",
        (
            put(
                f"{COUNT}{SERVICE}",
                "template",
                "containers",
                "env",
                value=[
                    {"name": "FUNCTION_TARGET", "value": "count_orders", "value_source": []},
                    {"name": "MODE", "value": "strict", "value_source": []},
                ],
            ),
        ),
        says="telemetry",
    ),
]

TELEMETRY_HARMLESS: dict[str, tuple[Edit, ...]] = {
    "a collector of one's own as a sidecar": (
        setting(
            "show_order",
            f'{LOCAL}\n[task.show_order.sidecars.collector]\nimage = "otel:1"\nport = 4318',
        ),
    ),
    "the exporter's packages by their names": (
        (
            REQUIREMENTS,
            "ucam-faas[otel]>=2.0\n",
            "opentelemetry_sdk==1.45.0\nOpenTelemetry.exporter.otlp.proto.http==1.45.0\n",
        ),
    ),
    "requirements of another file": ((REQUIREMENTS, "ucam-faas[otel]>=2.0", "-r more.txt"),),
    "an export that is turned off": (
        OFF,
        WITHOUT_EXTRA,
        setting("show_order", REMOTE.replace("{ ", '{ OTEL_SDK_DISABLED = "true", ')),
    ),
    "settings of a collector that no task has": (
        OFF,
        WITHOUT_EXTRA,
        (CONFIG, "[stage.production]", '[telemetry]\nimage = "otel:1"\n\n[stage.production]'),
    ),
}
