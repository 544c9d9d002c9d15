# Every rule of the simple variables has a value that breaks it.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
  function       = { container_image = "image:1" }
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "Orders"
  }

  expect_failures = [var.name]
}

run "a_name_of_fifty_characters_is_refused" {
  command = plan

  variables {
    name = "a2345678901234567890123456789012345678901234567890"
  }

  expect_failures = [var.name]
}

run "a_name_of_googles_is_refused" {
  command = plan

  variables {
    name = "google-orders"
  }

  expect_failures = [var.name]
}

run "a_projects_number_is_not_its_id" {
  command = plan

  variables {
    project = "123456789012"
  }

  expect_failures = [var.project]
}

run "a_projects_id_is_not_its_number" {
  command = plan

  variables {
    project_number = "my-project"
  }

  expect_failures = [var.project_number]
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "europe-west2-a"
  }

  expect_failures = [var.region]
}

run "no_request_at_a_time_is_refused" {
  command = plan

  variables {
    concurrency = { max_concurrent_functions_per_instance = 0 }
  }

  expect_failures = [var.concurrency]
}

run "more_requests_at_a_time_than_cloud_run_takes_are_refused" {
  command = plan

  variables {
    concurrency = { max_concurrent_functions_per_instance = 1001 }
  }

  expect_failures = [var.concurrency]
}

run "requests_at_a_time_need_a_whole_cpu" {
  command = plan

  variables {
    function    = { container_image = "image:1", cpu = "500m" }
    concurrency = { max_concurrent_functions_per_instance = 2 }
  }

  expect_failures = [var.concurrency]
}

run "fewer_than_no_instances_are_refused" {
  command = plan

  variables {
    concurrency = { min_instances = -1 }
  }

  expect_failures = [var.concurrency]
}

run "no_instances_at_all_are_refused" {
  command = plan

  variables {
    concurrency = { max_instances = 0 }
  }

  expect_failures = [var.concurrency]
}

run "more_instances_at_least_than_at_most_are_refused" {
  command = plan

  variables {
    concurrency = { min_instances = 3, max_instances = 2 }
  }

  expect_failures = [var.concurrency]
}

run "an_email_is_no_notification_channel" {
  command = plan

  variables {
    alerting = { notification_channels = ["me@example.org"] }
  }

  expect_failures = [var.alerting]
}

run "a_scoping_project_that_is_none_is_refused" {
  command = plan

  variables {
    alerting = { monitoring_scoping_project = "My project" }
  }

  expect_failures = [var.alerting]
}

run "an_age_of_nothing_is_refused" {
  command = plan

  variables {
    alerting = { oldest_message_seconds = 0 }
  }

  expect_failures = [var.alerting]
}

run "a_share_of_more_than_all_is_refused" {
  command = plan

  variables {
    alerting = { error_ratio = 10 }
  }

  expect_failures = [var.alerting]
}

run "a_label_with_capitals_is_refused" {
  command = plan

  variables {
    labels = { Team = "accounts" }
  }

  expect_failures = [var.labels]
}

run "a_labels_value_with_spaces_is_refused" {
  command = plan

  variables {
    labels = { team = "my team" }
  }

  expect_failures = [var.labels]
}

run "the_name_of_a_key_alone_is_refused" {
  command = plan

  variables {
    kms_key = "my-key"
  }

  expect_failures = [var.kms_key]
}

run "a_buckets_address_is_refused" {
  command = plan

  variables {
    dead_letter_archive = "gs://my-bucket"
  }

  expect_failures = [var.dead_letter_archive]
}
