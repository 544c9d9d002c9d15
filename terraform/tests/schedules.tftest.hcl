# Cloud Scheduler jobs.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "a_task_that_only_has_schedules_gets_a_topic_and_dead_letters" {
  variables {
    function = { container_image = "image:1" }
    triggers = { cron_schedules = { nightly = { schedule = "0 3 * * *", time_zone = "Europe/London" } } }
  }

  assert {
    condition     = google_pubsub_topic.trigger["orders"].name == "orders" && google_pubsub_subscription.push["orders"].topic == "projects/my-project/topics/orders"
    error_message = "topic and subscription are named after the task"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].dead_letter_policy[0].max_delivery_attempts == 8 && length(google_pubsub_subscription.dead_letter) == 1
    error_message = "a run that keeps failing is not lost"
  }

  assert {
    condition = (
      google_cloud_scheduler_job.schedule["nightly"].name == "nightly" &&
      google_cloud_scheduler_job.schedule["nightly"].region == "europe-west2" &&
      google_cloud_scheduler_job.schedule["nightly"].schedule == "0 3 * * *" &&
      google_cloud_scheduler_job.schedule["nightly"].time_zone == "Europe/London" &&
      google_cloud_scheduler_job.schedule["nightly"].paused == false
    )
    error_message = "when, and in which time zone"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["nightly"].pubsub_target[0].topic_name == "projects/my-project/topics/orders" && google_cloud_scheduler_job.schedule["nightly"].pubsub_target[0].data == "e30=" && length(google_cloud_scheduler_job.schedule["nightly"].http_target) == 0
    error_message = "a message to the topic, with something in it"
  }
}

run "schedules_are_as_they_are_asked_for" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = {
      subscriptions = {
        orders  = { create_topic = true }
        refunds = { topic = "projects/my-project/topics/refunds" }
      }
      cron_schedules = {
        a = { schedule = "0 3 * * *", topic = "orders", data = "YWxs", attributes = { kind = "all" } }
        b = { schedule = "0 4 * * *", topic = "projects/my-project/topics/refunds", paused = true, attributes = { kind = "all" } }
        c = { schedule = "0 5 * * *", topic = "orders", data = "" }
      }
    }
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["a"].pubsub_target[0].topic_name == "projects/my-project/topics/orders" && google_cloud_scheduler_job.schedule["b"].pubsub_target[0].topic_name == "projects/my-project/topics/refunds"
    error_message = "each to its topic"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["a"].pubsub_target[0].data == "YWxs" && google_cloud_scheduler_job.schedule["a"].pubsub_target[0].attributes == tomap({ kind = "all" })
    error_message = "data and attributes"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["b"].pubsub_target[0].data == null && google_cloud_scheduler_job.schedule["c"].pubsub_target[0].data == "e30="
    error_message = "attributes are enough for a message, and nothing is not"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["b"].paused && google_cloud_scheduler_job.schedule["b"].time_zone == "Etc/UTC"
    error_message = "paused, and in UTC if nothing is said"
  }

  assert {
    condition     = length(google_pubsub_subscription.push) == 2
    error_message = "no other subscription is made"
  }
}

run "a_jobs_schedule_runs_the_job" {
  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = { yearly = { schedule = "0 4 1 1 *", paused = true } } }
  }

  assert {
    condition = (
      google_cloud_scheduler_job.schedule["yearly"].http_target[0].http_method == "POST" &&
      google_cloud_scheduler_job.schedule["yearly"].http_target[0].uri == "https://run.googleapis.com/v2/projects/my-project/locations/europe-west2/jobs/orders:run" &&
      google_cloud_scheduler_job.schedule["yearly"].http_target[0].oauth_token[0].service_account_email == google_service_account.scheduler[0].email &&
      google_cloud_scheduler_job.schedule["yearly"].paused
    )
    error_message = "Cloud Run is asked to run the job, as the scheduler account"
  }

  assert {
    condition     = length(google_cloud_scheduler_job.schedule["yearly"].pubsub_target) == 0 && length(google_pubsub_topic.trigger) == 0 && length(google_pubsub_subscription.push) == 0
    error_message = "there is no topic"
  }
}

run "a_list_of_schedules_is_taken_as_by_version_1" {
  variables {
    function = { container_image = "image:1" }
    triggers = { cron_schedules = ["0 3 * * *", "0 4 * * 1"] }
  }

  assert {
    condition = (
      google_cloud_scheduler_job.schedule["orders"].schedule == "0 3 * * *" &&
      google_cloud_scheduler_job.schedule["orders-2"].schedule == "0 4 * * 1" &&
      length(google_cloud_scheduler_job.schedule) == 2
    )
    error_message = "they are named after the task, with a number from the second on"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["orders"].time_zone == "Etc/UTC" && google_cloud_scheduler_job.schedule["orders"].paused == false && google_cloud_scheduler_job.schedule["orders"].pubsub_target[0].data == "e30="
    error_message = "each has the defaults"
  }
}

run "an_empty_list_of_schedules_is_none" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = {} }, cron_schedules = [] }
  }

  assert {
    condition     = length(google_cloud_scheduler_job.schedule) == 0
    error_message = "there is nothing to make"
  }
}

run "a_list_of_schedules_runs_a_job" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = ["0 3 * * *"] }
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["orders"].schedule == "0 3 * * *" && length(google_cloud_scheduler_job.schedule["orders"].http_target) == 1
    error_message = "the job's schedule"
  }
}
