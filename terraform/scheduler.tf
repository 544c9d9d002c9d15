# Schedules: a message to the task's topic, or a run of its Cloud Run job.

locals {
  # By name, each with all attributes. Schedules in a list, the form of ucam-faas 1.0, are named after the task.
  schedules = try({
    for key, schedule in var.triggers.cron_schedules :
    (can(tostring(schedule)) && can(tonumber(key)) ? (tonumber(key) == 0 ? var.name : "${var.name}-${key + 1}") : key) => {
      schedule   = try(tostring(schedule.schedule), tostring(schedule), null)
      time_zone  = try(coalesce(tostring(schedule.time_zone)), "Etc/UTC")
      paused     = try(coalesce(tobool(schedule.paused)), false)
      data       = try(tostring(schedule.data), null)
      attributes = try({ for name, value in schedule.attributes : name => tostring(value) }, {})
      topic      = try(tostring(schedule.topic), null)
    }
  }, {})
}

resource "google_cloud_scheduler_job" "schedule" {
  for_each = local.schedules

  project   = var.project
  region    = var.region
  name      = each.key
  schedule  = each.value.schedule
  time_zone = each.value.time_zone
  paused    = each.value.paused

  # Start a run again if it couldn't be started. A task may run twice, as with any message.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "10s"
    max_backoff_duration = "300s"
  }

  dynamic "pubsub_target" {
    for_each = local.is_job ? [] : [each.value]
    content {
      topic_name = local.topic_names[pubsub_target.value.topic == null ? local.default_topic : pubsub_target.value.topic]
      attributes = pubsub_target.value.attributes
      # Pub/Sub refuses a message without data and attributes.
      data = (
        length(pubsub_target.value.data == null ? "" : pubsub_target.value.data) > 0 ? pubsub_target.value.data :
        length(pubsub_target.value.attributes) > 0 ? null : base64encode("{}")
      )
    }
  }

  dynamic "http_target" {
    for_each = local.is_job ? [each.value] : []
    content {
      http_method = "POST"
      uri         = "https://run.googleapis.com/v2/projects/${var.project}/locations/${var.region}/jobs/${google_cloud_run_v2_job.this[0].name}:run"

      oauth_token {
        service_account_email = local.scheduler_email
        scope                 = "https://www.googleapis.com/auth/cloud-platform"
      }
    }
  }

  # A message to a topic without a subscription is lost.
  depends_on = [
    google_pubsub_subscription.push,
    google_cloud_run_v2_job_iam_member.scheduler,
  ]
}
