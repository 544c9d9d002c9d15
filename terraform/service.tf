# The task as a Cloud Run service, which gets messages and requests.

resource "google_cloud_run_v2_service" "this" {
  count = local.is_service ? 1 : 0

  project             = var.project
  location            = var.region
  name                = var.name
  labels              = var.labels
  annotations         = var.function.annotations
  ingress             = var.function.ingress
  custom_audiences    = var.function.custom_audiences
  deletion_protection = var.function.deletion_protection

  template {
    labels                           = var.labels
    service_account                  = local.run_time_email
    timeout                          = "${local.service_timeout_seconds}s"
    max_instance_request_concurrency = local.concurrency
    encryption_key                   = var.kms_key
    execution_environment            = local.needs_first_generation ? "EXECUTION_ENVIRONMENT_GEN1" : null

    scaling {
      min_instance_count = var.concurrency.min_instances
      max_instance_count = local.max_instances
    }

    containers {
      name       = length(local.sidecars) > 0 ? "task" : null
      image      = local.image
      depends_on = length(local.awaited_sidecars) > 0 ? local.awaited_sidecars : null

      ports {
        name           = "http1"
        container_port = 8080
      }

      resources {
        limits            = { cpu = var.function.cpu, memory = var.function.memory }
        cpu_idle          = var.function.cpu_idle
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secret_variables
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      dynamic "volume_mounts" {
        for_each = local.volumes
        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.path
        }
      }

      # The port opens after the tasks are imported and their start-up code has run. That may take four minutes, the most
      # that Cloud Run waits.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 1
        failure_threshold = 120
        http_get {
          path = "/healthy"
          port = 8080
        }
      }

      # Patient: a task that keeps the CPU busy isn't dead.
      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 10
        failure_threshold = 4
        http_get {
          path = "/healthy"
          port = 8080
        }
      }
    }

    dynamic "containers" {
      for_each = local.sidecars
      content {
        name  = containers.key
        image = containers.value.image
        args  = containers.value.args

        resources {
          limits            = { cpu = containers.value.cpu, memory = containers.value.memory }
          cpu_idle          = var.function.cpu_idle
          startup_cpu_boost = true
        }

        dynamic "env" {
          for_each = containers.value.environment
          content {
            name  = env.key
            value = env.value
          }
        }

        # In two minutes at most.
        dynamic "startup_probe" {
          for_each = containers.value.port[*]
          content {
            period_seconds    = 2
            timeout_seconds   = 1
            failure_threshold = 60
            dynamic "tcp_socket" {
              for_each = containers.value.path == null ? [startup_probe.value] : []
              content {
                port = tcp_socket.value
              }
            }
            dynamic "http_get" {
              for_each = containers.value.path[*]
              content {
                path = http_get.value
                port = startup_probe.value
              }
            }
          }
        }
      }
    }

    dynamic "volumes" {
      for_each = local.volumes
      content {
        name = volumes.key
        dynamic "cloud_sql_instance" {
          for_each = length(volumes.value.instances) > 0 ? [volumes.value.instances] : []
          content {
            instances = cloud_sql_instance.value
          }
        }
        dynamic "empty_dir" {
          for_each = volumes.value.memory[*]
          content {
            medium     = "MEMORY"
            size_limit = empty_dir.value
          }
        }
        dynamic "gcs" {
          for_each = volumes.value.bucket[*]
          content {
            bucket    = gcs.value
            read_only = volumes.value.read_only
            # The container's user isn't root, who owns the files otherwise.
            mount_options = volumes.value.read_only ? null : ["uid=65532", "gid=65532"]
          }
        }
        dynamic "secret" {
          for_each = volumes.value.secret[*]
          content {
            secret = secret.value
            dynamic "items" {
              for_each = volumes.value.files
              content {
                path    = items.key
                version = items.value
              }
            }
          }
        }
      }
    }

    dynamic "vpc_access" {
      for_each = var.function.vpc_access[*]
      content {
        connector = vpc_access.value.connector
        egress    = vpc_access.value.egress
        dynamic "network_interfaces" {
          for_each = vpc_access.value.connector == null ? [vpc_access.value] : []
          content {
            network    = network_interfaces.value.network
            subnetwork = network_interfaces.value.subnetwork
            tags       = network_interfaces.value.tags
          }
        }
      }
    }
  }

  # Without this block the provider keeps the current traffic: after a roll-back by hand no new revision would get any.
  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  # Cloud Run checks that the account may read the secrets, and mounts the buckets when it starts an instance.
  depends_on = [google_secret_manager_secret_iam_member.run_time, google_project_iam_member.cloud_sql, google_storage_bucket_iam_member.volume]

  # The name and version of the tool that deployed last, such as gcloud.
  lifecycle {
    ignore_changes = [client, client_version]
  }
}
