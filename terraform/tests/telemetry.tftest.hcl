# The collector beside the task, its grants, and the task's variables for it.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "without_telemetry_there_is_no_collector" {
  command = plan

  variables {
    function = { container_image = "image:1" }
  }

  assert {
    condition     = length(google_cloud_run_v2_service.this[0].template[0].containers) == 1 && length(google_project_iam_member.role) == 0
    error_message = "one container, and no grant"
  }

  assert {
    condition     = alltrue([for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : !startswith(env.name, "OTEL_")])
    error_message = "the task exports nothing"
  }
}

run "a_service_waits_for_its_collector" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      telemetry       = {}
      sidecars        = { proxy = { image = "proxy:1", port = 5433 } }
    }
  }

  assert {
    condition     = [for container in google_cloud_run_v2_service.this[0].template[0].containers : container.name] == ["task", "collector", "proxy"]
    error_message = "the collector is beside the others"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[0].depends_on == tolist(["collector", "proxy"])
    error_message = "the task starts after both"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[1].startup_probe[0].http_get[0].port == 13133 && google_cloud_run_v2_service.this[0].template[0].containers[2].startup_probe[0].tcp_socket[0].port == 5433
    error_message = "the collector answers when it is ready, and the other opens its port"
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : env.name => env.value if startswith(env.name, "OTEL_") } == { OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318", OTEL_SERVICE_NAME = "orders" }
    error_message = "the task knows its collector"
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.GOOGLE_CLOUD_PROJECT == "my-project"
    error_message = "the collector knows the project"
  }

  assert {
    condition     = sort(keys(yamldecode({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG).service.pipelines)) == tolist(["metrics", "traces"]) && google_cloud_run_v2_service.this[0].template[0].containers[1].args == tolist(["--config=env:COLLECTOR_CONFIG"])
    error_message = "it reads its configuration from a variable"
  }

  assert {
    condition     = sort([for grant in google_project_iam_member.role : "${grant.role} on ${grant.project}"]) == tolist(["roles/cloudtrace.agent on my-project", "roles/monitoring.metricWriter on my-project"])
    error_message = "it may write spans and metrics"
  }
}

run "workers_have_one_too" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "worker", telemetry = { image = "otel:2", cpu = "2", memory = "1Gi" } }
    triggers = { subscriptions = { orders = {} } }
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[1].image == "otel:2" && google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].depends_on == tolist(["collector"])
    error_message = "of another image"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[1].resources[0].limits == tomap({ cpu = "2", memory = "1Gi" })
    error_message = "of another size"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[1].startup_probe[0].http_get[0].path == "/"
    error_message = "and it is asked whether it is ready"
  }
}

run "cloud_run_jobs_have_one_too" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job", telemetry = {} }
  }

  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].template[0].containers[0].depends_on == tolist(["collector"]) && google_cloud_run_v2_job.this[0].template[0].template[0].containers[1].startup_probe[0].http_get[0].port == 13133
    error_message = "which is ready before it"
  }
}

run "a_configuration_of_ones_own_grants_nothing" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      telemetry       = { collector = "service: { pipelines: { traces: { receivers: [otlp], exporters: [debug] } } }" }
      environment     = { OTEL_SERVICE_NAME = "shop" }
      roles           = [{ role = "roles/cloudtrace.agent", on = "projects/my-project" }]
    }
  }

  assert {
    condition     = startswith({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG, "service: {")
    error_message = "it is passed on as it is"
  }

  assert {
    condition     = [for grant in google_project_iam_member.role : grant.role] == ["roles/cloudtrace.agent"]
    error_message = "only the role of roles is granted"
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : env.name => env.value }.OTEL_SERVICE_NAME == "shop"
    error_message = "the service's name can be another"
  }
}

run "a_role_of_both_is_granted_once" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      telemetry       = {}
      roles           = [{ role = "roles/cloudtrace.agent", on = "projects/my-project" }]
    }
  }

  assert {
    condition     = length(google_project_iam_member.role) == 2
    error_message = "twice would be an error"
  }
}

run "the_configuration_for_google_is_whole" {
  command = plan

  variables {
    function = { container_image = "image:1", telemetry = {} }
  }

  assert {
    condition = alltrue([
      for config in [yamldecode({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG)] : alltrue([
        for pipeline in values(config.service.pipelines) :
        length(setsubtract(pipeline.receivers, keys(config.receivers))) == 0 &&
        length(setsubtract(pipeline.processors, keys(config.processors))) == 0 &&
        length(setsubtract(pipeline.exporters, keys(config.exporters))) == 0
      ]) && length(setsubtract(config.service.extensions, keys(config.extensions))) == 0
    ])
    error_message = "a pipeline names something that isn't there"
  }

  # Of the Google-built OpenTelemetry Collector's own list.
  assert {
    condition = alltrue([
      for config in [yamldecode({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG)] :
      length(setsubtract(concat(keys(config.receivers), keys(config.processors), keys(config.exporters), keys(config.extensions)), [
        "attributes", "googleclientauth", "googlemanagedprometheus", "health_check", "interval", "memory_limiter", "otlp", "otlp_grpc", "resource", "resourcedetection"
      ])) == 0
    ])
    error_message = "the image hasn't got such a component"
  }

  assert {
    condition     = alltrue([for exporter in values(yamldecode({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG).exporters) : !exporter.sending_queue.enabled])
    error_message = "a queue would wait for CPU"
  }

  assert {
    condition     = endswith(yamldecode({ for env in google_cloud_run_v2_service.this[0].template[0].containers[1].env : env.name => env.value }.COLLECTOR_CONFIG).receivers.otlp.protocols.http.endpoint, ":4318") && endswith(yamldecode(file("collector.yaml")).extensions.health_check.endpoint, ":13133")
    error_message = "the ports are those of the task's variable and of Cloud Run's question"
  }
}
