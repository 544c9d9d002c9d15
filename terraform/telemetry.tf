# The collector of OpenTelemetry beside the task: a sidecar like others, with the task's variables and the grants for it.

locals {
  collector_image = "us-docker.pkg.dev/cloud-ops-agents-artifacts/google-cloud-opentelemetry-collector/otelcol-google:0.156.1"

  exports_to_google = try(var.function.telemetry.collector == "google-cloud", false)

  # The image reads its configuration from a variable, so that it needs no secret and no bucket.
  collector = {
    for name, telemetry in { collector = var.function.telemetry } : name => {
      image                            = telemetry.image
      args                             = ["--config=env:COLLECTOR_CONFIG"]
      environment = {
        COLLECTOR_CONFIG     = local.exports_to_google ? file("${path.module}/collector.yaml") : telemetry.collector
        GOOGLE_CLOUD_PROJECT = var.project
      }
      cpu    = telemetry.cpu
      memory = telemetry.memory
      port   = 13133
      path   = "/"
    } if telemetry != null
  }

  # All containers beside the task's. Those with a port are ready when it is open; the collector, when it answers there.
  sidecars = merge({ for name, sidecar in var.function.sidecars : name => merge(sidecar, { path = null }) }, local.collector)

  # The task's container starts after these.
  awaited_sidecars = [for name, sidecar in local.sidecars : name if sidecar.port != null]

  telemetry_environment = length(local.collector) == 0 ? {} : {
    OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318"
    OTEL_SERVICE_NAME           = var.name
  }

  # Nothing smaller than a project has these roles.
  telemetry_roles = [
    for role in local.exports_to_google ? ["roles/cloudtrace.agent", "roles/monitoring.metricWriter"] : [] :
    { role = role, on = "projects/${var.project}" }
  ]
}
