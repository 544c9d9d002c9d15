# The collection: shared topics, their dead letters, and the arguments of each task.

mock_provider "google" {}

variables {
  project         = "my-project"
  project_number  = "123456789012"
  region          = "europe-west2"
  container_image = "image:1"
  tasks           = {}
}

run "a_collection_without_tasks_is_empty" {
  command = plan

  assert {
    condition     = length(module.task) == 0 && length(google_pubsub_topic.this) == 0
    error_message = "nothing is made of nothing"
  }
}

run "tasks_share_the_topics_of_the_collection" {
  variables {
    topics = {
      orders        = {}
      invoices      = {}
      failed-orders = { dead_letters = true }
    }
    labels = { app = "shop" }
    tasks = {
      count_orders = {
        name     = "count-orders"
        summary  = "Ignored."
        function = { target = "count_orders", publishes_to = ["invoices", "projects/other/topics/audit"] }
        triggers = {
          subscriptions = {
            count_orders = { topic = "orders", dead_letter = { max_attempts = 5, topic = "failed-orders" } }
          }
          cron_schedules = { count_orders-1 = { schedule = "0 3 * * *", topic = "orders" } }
        }
        alerting = { notification_channels = [] }
        labels   = { team = "accounts" }
      }
      check_orders = {
        name     = "check-orders"
        function = { target = "check_orders" }
        triggers = {
          subscriptions = {
            check_orders = { topic = "projects/other/topics/orders", dead_letter = { topic = "failed-orders" } }
          }
        }
        alerting = {}
      }
      call_me = {
        name     = "call-me"
        function = { target = "call_me" }
      }
      report = {
        name     = "report"
        function = { target = "report", run_as = "job" }
        triggers = { subscriptions = {}, cron_schedules = { report-1 = { schedule = "0 4 1 1 *", data = null, attributes = {}, topic = null } } }
        alerting = null
      }
    }
  }

  assert {
    condition     = keys(google_pubsub_topic.this) == ["failed-orders", "invoices", "orders"] && google_pubsub_topic.this["orders"].labels == tomap({ app = "shop" })
    error_message = "each topic is made once"
  }

  assert {
    condition     = module.task["count_orders"].topics == { count_orders = "projects/my-project/topics/orders" } && module.task["check_orders"].topics == { check_orders = "projects/other/topics/orders" }
    error_message = "each task reads its topic"
  }

  assert {
    condition     = module.task["count_orders"].dead_letter_topics == { count_orders = "projects/my-project/topics/failed-orders" } && module.task["check_orders"].dead_letter_topics == { check_orders = "projects/my-project/topics/failed-orders" }
    error_message = "two tasks share a dead-letter topic"
  }

  assert {
    condition = { for name, grant in google_pubsub_topic_iam_member.dead_letter_agent : name => [grant.topic, grant.role, grant.member] } == {
      failed-orders = ["failed-orders", "roles/pubsub.publisher", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"]
    }
    error_message = "Pub/Sub may publish to it, and is told so once"
  }

  assert {
    condition = (
      keys(google_pubsub_subscription.dead_letter) == ["failed-orders"] &&
      google_pubsub_subscription.dead_letter["failed-orders"].name == "failed-orders-kept" &&
      google_pubsub_subscription.dead_letter["failed-orders"].topic == "projects/my-project/topics/failed-orders" &&
      google_pubsub_subscription.dead_letter["failed-orders"].message_retention_duration == "2678400s" &&
      google_pubsub_subscription.dead_letter["failed-orders"].expiration_policy[0].ttl == ""
    )
    error_message = "its messages are kept for 31 days"
  }

  assert {
    condition     = module.task["count_orders"].dead_letter_subscriptions == { count_orders = "failed-orders-kept" } && length(module.task["count_orders"].alert_policies) == 3 && length(module.task["report"].alert_policies) == 0 && length(module.task["call_me"].alert_policies) == 0
    error_message = "the alerts watch it, where alerts are wanted"
  }

  assert {
    condition     = module.task["report"].service_uri == null && module.task["call_me"].service_uri != null && keys(module.task["report"].schedules) == ["report-1"]
    error_message = "jobs and services are what they are"
  }

  assert {
    condition     = keys(output.tasks) == ["call_me", "check_orders", "count_orders", "report"] && output.topics.orders == "projects/my-project/topics/orders"
    error_message = "the outputs are by name"
  }
}

run "topics_are_protected_unless_they_say_otherwise" {
  command = plan

  variables {
    topics = {
      orders = { dead_letters = true }
      trial  = { dead_letters = true, deletion_protection = false }
    }
  }

  assert {
    condition     = { for name, topic in google_pubsub_topic.this : name => topic.deletion_policy } == { orders = "PREVENT", trial = "DELETE" }
    error_message = "a topic is protected"
  }

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.dead_letter : name => subscription.deletion_policy } == { orders = "PREVENT", trial = "DELETE" }
    error_message = "a subscription that keeps messages is protected with its topic"
  }
}

run "topics_are_encrypted_with_the_key_that_all_tasks_have" {
  command = plan

  variables {
    topics = {
      orders = {}
      other  = { kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/other" }
    }
    tasks = {
      a = { name = "a", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
      b = { name = "b", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
    }
  }

  assert {
    condition     = google_pubsub_topic.this["orders"].kms_key_name == "projects/p/locations/l/keyRings/r/cryptoKeys/k" && google_pubsub_topic.this["other"].kms_key_name == "projects/p/locations/l/keyRings/r/cryptoKeys/other"
    error_message = "a topic has its own key, or that of the tasks"
  }
}

run "topics_have_no_key_if_tasks_differ" {
  command = plan

  variables {
    topics = { orders = {} }
    tasks = {
      a = { name = "a", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
      b = { name = "b", function = {} }
    }
  }

  assert {
    condition     = google_pubsub_topic.this["orders"].kms_key_name == null
    error_message = "no key is guessed"
  }
}

run "a_name_of_googles_for_a_topic_is_refused" {
  command = plan

  variables {
    topics = { google-topic = {} }
  }

  expect_failures = [var.topics]
}

run "a_projects_number_is_not_its_id" {
  command = plan

  variables {
    project = "123456789012"
  }

  expect_failures = [var.project]
}

run "a_task_without_a_name_is_refused" {
  command = plan

  variables {
    tasks = { a = { function = {} } }
  }

  expect_failures = [var.tasks]
}

run "two_tasks_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { name = "same", function = {} }
      b = { name = "same", function = {} }
    }
  }

  expect_failures = [var.tasks]
}

run "two_subscriptions_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { name = "a", function = {}, triggers = { subscriptions = { same = {} } } }
      b = { name = "b", function = {}, triggers = { subscriptions = { same = {} } } }
    }
  }

  expect_failures = [var.tasks]
}

run "two_schedules_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { name = "abc", function = {}, triggers = { cron_schedules = { same = { schedule = "0 3 * * *" } } } }
      b = { name = "def", function = {}, triggers = { cron_schedules = { same = { schedule = "0 3 * * *" } } } }
    }
  }

  expect_failures = [var.tasks]
}

run "a_misspelt_part_of_a_task_is_refused" {
  command = plan

  variables {
    tasks = { a = { name = "a", function = {}, trigers = {} } }
  }

  expect_failures = [var.tasks]
}
