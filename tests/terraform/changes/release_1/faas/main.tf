variable "name" { type = string }

variable "function" { type = object({ container_image = string }) }

variable "triggers" { type = object({ cron_schedules = list(string) }) }

variable "concurrency" { type = object({ max_concurrent_functions_per_instance = number }) }

variable "deletion_protection" { type = bool }

resource "google_service_account" "run" {
  account_id = "${var.name}-run"
}

resource "google_service_account" "push" {
  account_id = "${var.name}-pubsub"
}

resource "google_cloud_run_v2_service" "faas" {
  name                = var.name
  location            = "europe-west2"
  deletion_protection = var.deletion_protection

  template {
    service_account                  = google_service_account.run.email
    max_instance_request_concurrency = var.concurrency.max_concurrent_functions_per_instance

    containers {
      image = var.function.container_image
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  location = google_cloud_run_v2_service.faas.location
  name     = google_cloud_run_v2_service.faas.name
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_pubsub_topic" "faas" {
  name = "${var.name}-topic"
}

resource "google_pubsub_subscription" "faas" {
  name                 = "${var.name}-subscription"
  topic                = google_pubsub_topic.faas.id
  ack_deadline_seconds = 600

  push_config {
    push_endpoint = google_cloud_run_v2_service.faas.uri

    oidc_token {
      service_account_email = google_service_account.push.email
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push]
}

resource "google_cloud_scheduler_job" "faas" {
  count = length(var.triggers.cron_schedules)

  name     = "${var.name}-${count.index}"
  schedule = var.triggers.cron_schedules[count.index]

  pubsub_target {
    topic_name = google_pubsub_topic.faas.id
    data       = base64encode("{}")
  }
}
