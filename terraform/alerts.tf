# Alert policies. The documentation of each describes the incident and its fix.

locals {
  alerts = {
    for alerting in var.alerting[*] : "this" => merge(alerting, {
      project = alerting.monitoring_scoping_project == null ? var.project : alerting.monitoring_scoping_project
    })
  }

  auto_close = length(local.alerts) > 0 ? "${local.alerts["this"].auto_close_seconds}s" : null

  # By subscription. Half the retention at most: a message that expires before would never be an incident.
  oldest_message_seconds = {
    for name, subscription in local.subscriptions :
    name => min(local.alerts["this"].oldest_message_seconds, floor(subscription.message_retention_seconds / 2)) if length(local.alerts) > 0
  }
}

resource "google_monitoring_alert_policy" "dead_letter" {
  for_each = length(local.alerts) > 0 ? local.dead_letter_keepers : {}

  project               = local.alerts["this"].project
  display_name          = "${var.name}: dead letters in ${each.value}"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.alerts["this"].notification_channels
  user_labels           = var.labels

  alert_strategy {
    auto_close = local.auto_close
  }

  conditions {
    display_name = "${each.value} is not empty"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.project_id = \"${var.project}\"",
        "resource.labels.subscription_id = \"${each.value}\"",
        "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: dead letters"
    content   = <<-EOT
      Messages of the task **${var.name}** failed ${local.dead_letters[each.key].max_attempts} times, or were given up by the task. They are in the subscription `${each.value}`, and are lost 31 days after that at the latest.

      1. See why: the task's log (${local.log_query}), entries of severity WARNING or ERROR.
      2. See what, without taking it away: `gcloud pubsub subscriptions pull ${each.value} --project=${var.project} --limit=10 --format=json`. The attribute `ucam_faas_reason` tells why, unless Pub/Sub put it there.
      3. Fix the task or the sender, and deploy.
      4. What is still wanted: publish it again to `${local.topic_names[local.subscriptions[each.key].topic]}` with `gcloud pubsub topics publish`, data and attributes as they were. The task may see it twice.
      5. Then take away what is done with: pull again with `--auto-ack`. The incident closes when the subscription is empty.
    EOT
  }
}

resource "google_monitoring_alert_policy" "oldest_message" {
  for_each = length(local.alerts) > 0 ? local.subscriptions : {}

  project               = local.alerts["this"].project
  display_name          = "${var.name}: messages wait in ${each.key}"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.alerts["this"].notification_channels
  user_labels           = var.labels

  alert_strategy {
    auto_close = local.auto_close
  }

  conditions {
    display_name = "the oldest message of ${each.key} waits for more than ${local.oldest_message_seconds[each.key]} s"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.project_id = \"${var.project}\"",
        "resource.labels.subscription_id = \"${each.key}\"",
        "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = local.oldest_message_seconds[each.key]
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: messages wait"
    content   = <<-EOT
      A message of the subscription `${each.value.existing ? each.key : google_pubsub_subscription.push[each.key].name}` of the task **${var.name}** waits for more than ${local.oldest_message_seconds[each.key]} seconds. It is lost after ${each.value.message_retention_seconds} seconds.

      1. Is the task failing? Its log (${local.log_query}), entries of severity WARNING or ERROR. Then fix it and deploy.
      2. ${local.is_worker ? "Is it pulled at all? See the instances: `gcloud run worker-pools describe ${var.name} --project=${var.project} --region=${var.region}`. With 0 nothing runs. The log says why a worker doesn't start: a missing grant (apply the module again), or a subscription that pushes." : "Is it called at all? In the metrics of the subscription, push requests by response code: 401 and 403 mean that a grant is missing (apply the module again), 404 that the path `${each.value.path}` is not served."}
      3. Is it too slow? ${local.is_worker ? "Raise `concurrency.min_instances`, let an autoscaler follow the backlog" : "Outcomes `overloaded` and `timed_out` in the log, and the service at its maximum of ${local.max_instances} instances: raise `concurrency`"}, or publish less.
      4. The messages are never wanted? `gcloud pubsub subscriptions seek ${each.key} --project=${var.project} --time=$(date -u +%Y-%m-%dT%H:%M:%SZ)` drops all that wait.
    EOT
  }
}

resource "google_monitoring_alert_policy" "errors" {
  count = local.is_service ? length(local.alerts) : 0

  project               = local.alerts["this"].project
  display_name          = "${var.name}: errors"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.alerts["this"].notification_channels
  user_labels           = var.labels

  alert_strategy {
    auto_close = local.auto_close
  }

  conditions {
    display_name = "more than ${local.alerts["this"].error_ratio * 100} % of the answers are 5xx"

    condition_threshold {
      filter             = "${local.request_count} AND metric.labels.response_code_class = \"5xx\""
      denominator_filter = local.request_count
      comparison         = "COMPARISON_GT"
      threshold_value    = local.alerts["this"].error_ratio
      duration           = "0s"

      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }

      denominator_aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: errors"
    content   = <<-EOT
      Executions of the task **${var.name}** fail. Messages are delivered again; they are not lost yet. A `Retry` that the task itself raises isn't counted: its answer is 429.

      1. See why: the task's log (${local.log_query}), entries of severity WARNING or ERROR, and Error Reporting for exceptions with their tracebacks.
      2. Only since the last deployment? Give the traffic back to the revision before: `gcloud run services update-traffic ${var.name} --project=${var.project} --region=${var.region} --to-revisions=REVISION=100`, and then fix the code, or the next apply brings it back.
      3. 504: the task takes longer than its ${var.function.timeout_seconds} seconds. 503 with few instances: see whether instances are killed for their memory (${var.function.memory}).
      4. Messages that failed too often are among the dead letters, which have an alert of their own.
    EOT
  }
}

# Cloud Scheduler has no metric of its own. It logs each attempt, one that failed as an ERROR, and Cloud Logging counts
# the entries of each resource.
resource "google_monitoring_alert_policy" "schedule_failed" {
  count = length(local.running_schedules) > 0 ? length(local.alerts) : 0

  project               = local.alerts["this"].project
  display_name          = "${var.name}: a schedule did not run"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.alerts["this"].notification_channels
  user_labels           = var.labels

  alert_strategy {
    auto_close = local.auto_close
  }

  conditions {
    display_name = "Cloud Scheduler failed to start ${join(", ", local.running_schedules)}"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_scheduler_job\"",
        "resource.labels.project_id = \"${var.project}\"",
        "resource.labels.location = \"${var.region}\"",
        "resource.labels.job_id = one_of(${join(", ", [for name in local.running_schedules : "\"${name}\""])})",
        "metric.type = \"logging.googleapis.com/log_entry_count\"",
        "metric.labels.severity = \"ERROR\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.job_id"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: a schedule did not run"
    content   = <<-EOT
      Cloud Scheduler tried to start the task **${var.name}**, and failed. It tries four times; the incident names the schedule, `job_id`.

      1. See why: the log, `resource.type="cloud_scheduler_job" severity=ERROR`. `NOT_FOUND`: the ${local.is_job ? "Cloud Run job" : "topic"} is gone. `PERMISSION_DENIED`: a grant is missing; apply the module again.${local.is_job ? "" : " Cloud Scheduler's own service agent publishes the message."}
      2. Did a later attempt succeed? `gcloud scheduler jobs describe JOB --project=${var.project} --location=${var.region}` shows the last one, in `status`; empty is success.
      3. Otherwise run it now: `gcloud scheduler jobs run JOB --project=${var.project} --location=${var.region}`.
    EOT
  }
}

resource "google_monitoring_alert_policy" "job_failed" {
  count = local.is_job ? length(local.alerts) : 0

  project               = local.alerts["this"].project
  display_name          = "${var.name}: an execution failed"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.alerts["this"].notification_channels
  user_labels           = var.labels

  alert_strategy {
    auto_close = local.auto_close
  }

  conditions {
    display_name = "an execution of ${var.name} failed"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_run_job\"",
        "resource.labels.project_id = \"${var.project}\"",
        "resource.labels.location = \"${var.region}\"",
        "resource.labels.job_name = \"${var.name}\"",
        "metric.type = \"run.googleapis.com/job/completed_execution_count\"",
        "metric.labels.result = \"failed\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: an execution failed"
    content   = <<-EOT
      An execution of the Cloud Run job **${var.name}** failed, after ${var.function.max_retries} retries. Nothing runs it again before its next schedule.

      1. See why: `gcloud run jobs executions list --job=${var.name} --project=${var.project} --region=${var.region}`, and the log (${local.log_query}).
      2. Fix it, and deploy.
      3. Run it now, if it cannot wait: `gcloud run jobs execute ${var.name} --project=${var.project} --region=${var.region}`.
    EOT
  }
}

locals {
  # A paused schedule isn't started.
  running_schedules = sort([for name, schedule in local.schedules : name if !schedule.paused])

  request_count = join(" AND ", [
    "resource.type = \"cloud_run_revision\"",
    "resource.labels.project_id = \"${var.project}\"",
    "resource.labels.location = \"${var.region}\"",
    "resource.labels.service_name = \"${var.name}\"",
    "metric.type = \"run.googleapis.com/request_count\"",
  ])

  log_query = {
    service       = "`resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.name}\"`"
    worker        = "`resource.type=\"cloud_run_worker_pool\" resource.labels.worker_pool_name=\"${var.name}\"`"
    cloud-run-job = "`resource.type=\"cloud_run_job\" resource.labels.job_name=\"${var.name}\"`"
  }[var.function.run_as]
}
