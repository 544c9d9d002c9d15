# Alert policies, and their instructions.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "a_service_has_three_alerts" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
    alerting = { notification_channels = ["projects/my-project/notificationChannels/1"], oldest_message_seconds = 60, error_ratio = 0.25 }
  }

  assert {
    condition = (
      google_monitoring_alert_policy.dead_letter["orders"].conditions[0].condition_threshold[0].filter == "resource.type = \"pubsub_subscription\" AND resource.labels.project_id = \"my-project\" AND resource.labels.subscription_id = \"orders-dead-letter\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"" &&
      google_monitoring_alert_policy.dead_letter["orders"].conditions[0].condition_threshold[0].threshold_value == 0
    )
    error_message = "one dead letter is an incident"
  }

  assert {
    condition = (
      google_monitoring_alert_policy.oldest_message["orders"].conditions[0].condition_threshold[0].filter == "resource.type = \"pubsub_subscription\" AND resource.labels.project_id = \"my-project\" AND resource.labels.subscription_id = \"orders\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"" &&
      google_monitoring_alert_policy.oldest_message["orders"].conditions[0].condition_threshold[0].threshold_value == 60
    )
    error_message = "a message that waits for more than a minute is an incident"
  }

  assert {
    condition = (
      google_monitoring_alert_policy.errors[0].conditions[0].condition_threshold[0].denominator_filter == "resource.type = \"cloud_run_revision\" AND resource.labels.project_id = \"my-project\" AND resource.labels.location = \"europe-west2\" AND resource.labels.service_name = \"orders\" AND metric.type = \"run.googleapis.com/request_count\"" &&
      google_monitoring_alert_policy.errors[0].conditions[0].condition_threshold[0].filter == "${google_monitoring_alert_policy.errors[0].conditions[0].condition_threshold[0].denominator_filter} AND metric.labels.response_code_class = \"5xx\"" &&
      google_monitoring_alert_policy.errors[0].conditions[0].condition_threshold[0].threshold_value == 0.25
    )
    error_message = "more than a quarter of 5xx is an incident"
  }

  assert {
    condition = alltrue([
      for policy in [google_monitoring_alert_policy.dead_letter["orders"], google_monitoring_alert_policy.oldest_message["orders"], google_monitoring_alert_policy.errors[0]] :
      policy.project == "my-project" && policy.notification_channels == tolist(["projects/my-project/notificationChannels/1"]) &&
      length(policy.documentation[0].content) > 300 && length(policy.documentation[0].content) < 8192 && strcontains(policy.documentation[0].content, "**orders**")
    ])
    error_message = "each has instructions"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.job_failed) == 0
    error_message = "a service is not a job"
  }
}

run "a_schedule_that_did_not_run_is_an_incident" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = {
      subscriptions  = { orders = {} }
      cron_schedules = { nightly = { schedule = "0 3 * * *" }, hourly = { schedule = "0 * * * *" }, off = { schedule = "0 * * * *", paused = true } }
    }
    alerting = { auto_close_seconds = 3600 }
  }

  assert {
    condition     = google_monitoring_alert_policy.schedule_failed[0].conditions[0].condition_threshold[0].filter == "resource.type = \"cloud_scheduler_job\" AND resource.labels.project_id = \"my-project\" AND resource.labels.location = \"europe-west2\" AND resource.labels.job_id = one_of(\"hourly\", \"nightly\") AND metric.type = \"logging.googleapis.com/log_entry_count\" AND metric.labels.severity = \"ERROR\""
    error_message = "one failed attempt is an incident; a paused schedule has none"
  }

  assert {
    condition     = alltrue([for policy in [google_monitoring_alert_policy.schedule_failed[0], google_monitoring_alert_policy.oldest_message["orders"], google_monitoring_alert_policy.errors[0]] : policy.alert_strategy[0].auto_close == "3600s"])
    error_message = "incidents close when no data come any more"
  }
}

run "a_task_without_a_running_schedule_has_no_alert_for_one" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = {} }, cron_schedules = { off = { schedule = "0 * * * *", paused = true } } }
  }

  assert {
    condition     = length(google_monitoring_alert_policy.schedule_failed) == 0
    error_message = "nothing would be watched"
  }
}

run "alerts_are_made_where_monitoring_is" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
    alerting = { monitoring_scoping_project = "my-monitoring" }
  }

  assert {
    condition     = alltrue([for policy in [google_monitoring_alert_policy.dead_letter["orders"], google_monitoring_alert_policy.oldest_message["orders"], google_monitoring_alert_policy.errors[0]] : policy.project == "my-monitoring" && strcontains(policy.conditions[0].condition_threshold[0].filter, "resource.labels.project_id = \"my-project\"")])
    error_message = "the policies are in the scoping project, and watch this one"
  }
}

run "a_worker_answers_no_requests" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "worker" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
  }

  assert {
    condition     = length(google_monitoring_alert_policy.errors) == 0 && length(google_monitoring_alert_policy.dead_letter) == 1
    error_message = "it has no ratio of errors, and dead letters as a service has"
  }

  assert {
    condition = alltrue([
      for part in ["cloud_run_worker_pool", "worker-pools describe orders", "\n3. Is it too slow?"] :
      strcontains(google_monitoring_alert_policy.oldest_message["orders"].documentation[0].content, part)
    ])
    error_message = "an incident says how to look at a worker pool"
  }
}

run "a_job_has_one_alert" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job" }
  }

  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.job_failed[0].conditions[0].condition_threshold[0].filter, "resource.labels.job_name = \"orders\"") &&
      strcontains(google_monitoring_alert_policy.job_failed[0].conditions[0].condition_threshold[0].filter, "metric.labels.result = \"failed\"") &&
      length(google_monitoring_alert_policy.job_failed[0].documentation[0].content) > 200
    )
    error_message = "an execution that failed is an incident"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.errors) == 0
    error_message = "a job answers no requests"
  }
}

run "there_are_no_alerts_if_none_are_wanted" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
    alerting = null
  }

  assert {
    condition     = length(google_monitoring_alert_policy.dead_letter) + length(google_monitoring_alert_policy.oldest_message) + length(google_monitoring_alert_policy.errors) == 0
    error_message = "null means none"
  }
}

run "a_keeper_that_is_named_is_watched" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = {
      subscriptions = {
        orders  = { dead_letter = { topic = "failed", subscription = "failed-kept" } }
        refunds = { dead_letter = { topic = "failed" } }
      }
    }
  }

  assert {
    condition     = keys(google_monitoring_alert_policy.dead_letter) == ["orders"] && strcontains(google_monitoring_alert_policy.dead_letter["orders"].conditions[0].condition_threshold[0].filter, "\"failed-kept\"")
    error_message = "the alert watches the subscription that is named, and there is none without a name"
  }
}

run "a_message_is_an_incident_before_it_expires" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { message_retention_seconds = 600 } } }
  }

  assert {
    condition     = google_monitoring_alert_policy.oldest_message["orders"].conditions[0].condition_threshold[0].threshold_value == 300
    error_message = "half of its retention, as it is kept for ten minutes only"
  }
}
