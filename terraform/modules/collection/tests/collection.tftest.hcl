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
      failed-orders = { dead_letter_subscription = "failed-orders-kept" }
    }
    labels = { app = "shop" }
    tasks = {
      count_orders = {
        format   = 2
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
        format   = 2
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
        format   = 2
        name     = "call-me"
        function = { target = "call_me" }
      }
      report = {
        format   = 2
        name     = "report"
        function = { target = "report", run_as = "cloud-run-job" }
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
    condition     = module.task["count_orders"].dead_letter_subscriptions == { count_orders = "failed-orders-kept" } && length(module.task["count_orders"].alert_policies) == 4 && length(module.task["report"].alert_policies) == 0 && length(module.task["call_me"].alert_policies) == 0
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

run "topics_have_regions_and_a_retention" {
  command = plan

  variables {
    topics = {
      orders   = { retention_seconds = 86400, allowed_persistence_regions = ["europe-west1", "europe-west2"] }
      invoices = {}
    }
  }

  assert {
    condition = (
      google_pubsub_topic.this["orders"].message_retention_duration == "86400s" &&
      google_pubsub_topic.this["orders"].message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1", "europe-west2"])
    )
    error_message = "messages stay there, and a new subscription can seek back"
  }

  assert {
    condition     = google_pubsub_topic.this["invoices"].message_retention_duration == null
    error_message = "others have Pub/Sub's defaults"
  }
}

run "a_topic_has_a_schema_of_its_name" {
  command = plan

  variables {
    topics = {
      orders   = { schema = { type = "AVRO", definition = "\"string\"", encoding = "BINARY" } }
      invoices = {}
    }
  }

  assert {
    condition     = keys(google_pubsub_schema.this) == ["orders"] && google_pubsub_schema.this["orders"].type == "AVRO" && google_pubsub_schema.this["orders"].deletion_policy == "PREVENT"
    error_message = "only that topic has one"
  }

  assert {
    condition     = google_pubsub_topic.this["orders"].schema_settings[0].encoding == "BINARY" && length(google_pubsub_topic.this["invoices"].schema_settings) == 0
    error_message = "Pub/Sub checks its messages by it"
  }
}

run "topics_are_refused_with_unknown_regions" {
  command = plan

  variables {
    topics = { orders = { allowed_persistence_regions = ["europe"] } }
  }

  expect_failures = [var.topics]
}

run "topics_are_protected_unless_they_say_otherwise" {
  command = plan

  variables {
    topics = {
      orders = { dead_letter_subscription = "orders-kept", archive = "my-bucket" }
      trial  = { dead_letter_subscription = "trial-kept", archive = "my-bucket", deletion_protection = false }
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

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.archive : name => subscription.deletion_policy } == { orders = "PREVENT", trial = "DELETE" }
    error_message = "a subscription that writes messages to a bucket is protected with its topic"
  }
}

run "dead_letters_are_archived" {
  variables {
    name = "shop"
    topics = {
      orders-dead-letter = { dead_letter_subscription = "orders-dead-letter", archive = "my-bucket" }
      failed             = { dead_letter_subscription = "failed-kept", archive = "other-bucket" }
    }
  }

  assert {
    condition = { for name, subscription in google_pubsub_subscription.archive : name => [
      subscription.name, subscription.topic, subscription.cloud_storage_config[0].bucket, subscription.cloud_storage_config[0].filename_prefix
      ] } == {
      failed             = ["failed-archive", "projects/my-project/topics/failed", "other-bucket", "failed/"]
      orders-dead-letter = ["orders-dead-letter-archive", "projects/my-project/topics/orders-dead-letter", "my-bucket", "orders/"]
    }
    error_message = "each topic has a subscription that writes its messages to its bucket"
  }

  assert {
    condition     = alltrue([for subscription in values(google_pubsub_subscription.archive) : subscription.cloud_storage_config[0].avro_config[0].write_metadata && subscription.expiration_policy[0].ttl == ""])
    error_message = "with their attributes, and never expires"
  }

  assert {
    condition     = google_service_account.archive[0].account_id == "shop-archive" && length(google_service_account.push) + length(google_service_account.scheduler) == 0
    error_message = "one account writes to all buckets, and there are no others"
  }

  assert {
    condition = { for grant in values(google_storage_bucket_iam_member.archive) : "${grant.bucket} ${grant.role}" => grant.member } == {
      for pair in setproduct(["my-bucket", "other-bucket"], ["roles/storage.legacyBucketReader", "roles/storage.objectCreator"]) :
      join(" ", pair) => "serviceAccount:${google_service_account.archive[0].email}"
    }
    error_message = "it may write to each bucket"
  }

  assert {
    condition     = google_service_account_iam_member.archive_token[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub may write as that account"
  }
}

run "tasks_share_the_accounts_of_the_collection" {
  variables {
    tasks = {
      a = { format = 2, name = "a", function = {}, triggers = { subscriptions = { abc = { topic = "orders" } } } }
      b = { format = 2, name = "b", function = {}, triggers = { subscriptions = { bcd = { topic = "orders" } } } }
      c = { format = 2, name = "c", function = { run_as = "cloud-run-job" }, triggers = { cron_schedules = { cde = { schedule = "0 3 * * *" } } } }
      d = { format = 2, name = "d", function = { run_as = "cloud-run-job" }, triggers = { cron_schedules = { def = { schedule = "0 3 * * *" } } } }
    }
  }

  assert {
    condition     = google_service_account.push[0].account_id == "ucam-faas-push" && google_service_account.scheduler[0].account_id == "ucam-faas-scheduler" && length(google_service_account.archive) == 0
    error_message = "there is one account for each purpose that tasks have"
  }

  assert {
    condition     = toset([for task in values(module.task) : task.service_accounts.push]) == toset([basename(google_service_account_iam_member.push_token[0].service_account_id), null])
    error_message = "Pub/Sub calls all services as one account"
  }

  assert {
    condition     = toset([for task in values(module.task) : task.service_accounts.scheduler]) == toset([google_service_account.scheduler[0].email, null])
    error_message = "Cloud Scheduler runs all jobs as one account"
  }

  assert {
    condition     = length(distinct([for task in values(module.task) : task.service_accounts.run_time])) == 4
    error_message = "each task runs as its own account"
  }

  assert {
    condition     = google_service_account_iam_member.push_token[0].role == "roles/iam.serviceAccountOpenIdTokenCreator" && google_service_account_iam_member.push_token[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub may make OpenID tokens of the push account"
  }
}

run "the_owners_of_existing_subscriptions_learn_what_to_set" {
  variables {
    tasks = {
      a = { format = 2, name = "a", function = { target = "a" }, triggers = { subscriptions = { orders-for-us = { existing = true, path = "/a" } } } }
      b = { format = 2, name = "b", function = { run_as = "worker" }, triggers = { subscriptions = { invoices-for-us = { existing = true, path = "/b" } } } }
      c = { format = 2, name = "c", function = {}, triggers = { subscriptions = { ccc = { topic = "orders", dead_letter = { topic = "lost" } } } } }
    }
  }

  assert {
    condition     = keys(output.push_endpoints) == ["orders-for-us"] && endswith(output.push_endpoints.orders-for-us.endpoint, "/a")
    error_message = "a service's subscription pushes to it; a worker pulls"
  }

  assert {
    condition     = output.push_endpoints.orders-for-us.account == basename(google_service_account_iam_member.push_token[0].service_account_id)
    error_message = "it pushes as the account that all tasks share"
  }

  assert {
    condition     = length(module.task["a"].subscriptions) + length(module.task["b"].subscriptions) == 0 && length(google_pubsub_topic.this) == 0
    error_message = "neither they nor their topics are made"
  }
}

run "a_service_that_only_answers_requests_needs_no_shared_account" {
  command = plan

  variables {
    tasks = { a = { format = 2, name = "a", function = { invokers = ["group:team@example.org"] } } }
  }

  assert {
    condition     = length(google_service_account.push) + length(google_service_account.scheduler) + length(google_service_account.archive) == 0
    error_message = "accounts are made where a task needs them"
  }
}

run "dead_letters_may_go_to_a_topic_that_exists" {
  command = plan

  variables {
    tasks = {
      a = { format = 2, name = "a", function = {}, triggers = { subscriptions = { abc = { topic = "orders", dead_letter = { topic = "failed" } } } } }
      b = { format = 2, name = "b", function = {}, triggers = { subscriptions = { bcd = { topic = "orders", dead_letter = { topic = "failed" } } } } }
      c = { format = 2, name = "c", function = {}, triggers = { subscriptions = { cde = { topic = "orders", dead_letter = { topic = "projects/other/topics/lost" } } } } }
      d = { format = 2, name = "d", function = {}, triggers = { subscriptions = { def = { topic = "orders", dead_letter = { topic = "granted", grant = false } } } } }
    }
  }

  assert {
    condition = { for name, grant in google_pubsub_topic_iam_member.dead_letter_agent : name => [grant.project, grant.topic] } == {
      "failed"                     = ["my-project", "failed"]
      "projects/other/topics/lost" = ["other", "projects/other/topics/lost"]
    }
    error_message = "one grant lets Pub/Sub publish to it, unless grant is false"
  }

  assert {
    condition = merge([for task in values(module.task) : task.dead_letter_topics]...) == {
      abc = "projects/my-project/topics/failed"
      bcd = "projects/my-project/topics/failed"
      cde = "projects/other/topics/lost"
      def = "projects/my-project/topics/granted"
    }
    error_message = "no topic is made for it"
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
      a = { format = 2, name = "a", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
      b = { format = 2, name = "b", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
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
      a = { format = 2, name = "a", function = {}, kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
      b = { format = 2, name = "b", function = {} }
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
    tasks = { a = { format = 2, function = {} } }
  }

  expect_failures = [var.tasks]
}

run "two_tasks_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { format = 2, name = "same", function = {} }
      b = { format = 2, name = "same", function = {} }
    }
  }

  expect_failures = [var.tasks]
}

run "two_subscriptions_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { format = 2, name = "a", function = {}, triggers = { subscriptions = { same = {} } } }
      b = { format = 2, name = "b", function = {}, triggers = { subscriptions = { same = {} } } }
    }
  }

  expect_failures = [var.tasks]
}

run "two_schedules_of_one_name_are_refused" {
  command = plan

  variables {
    tasks = {
      a = { format = 2, name = "abc", function = {}, triggers = { cron_schedules = { same = { schedule = "0 3 * * *" } } } }
      b = { format = 2, name = "def", function = {}, triggers = { cron_schedules = { same = { schedule = "0 3 * * *" } } } }
    }
  }

  expect_failures = [var.tasks]
}

run "a_misspelt_part_of_a_task_is_refused" {
  command = plan

  variables {
    tasks = { a = { format = 2, name = "a", function = {}, trigers = {} } }
  }

  expect_failures = [var.tasks]
}

run "a_task_of_another_format_is_refused" {
  command = plan

  variables {
    tasks = { a = { format = 3, name = "a", function = {} } }
  }

  expect_failures = [var.tasks]
}

run "a_task_without_a_format_is_refused" {
  command = plan

  variables {
    tasks = { a = { name = "a", function = {} } }
  }

  expect_failures = [var.tasks]
}

run "a_name_too_long_for_accounts_is_refused" {
  command = plan

  variables {
    name = "a23456789012345678901"
  }

  expect_failures = [var.name]
}

run "a_short_name_of_a_subscription_is_refused" {
  command = plan

  variables {
    topics = { orders = { dead_letter_subscription = "or" } }
  }

  expect_failures = [var.topics]
}

run "a_buckets_address_is_not_its_name" {
  command = plan

  variables {
    topics = { orders = { archive = "gs://my-bucket" } }
  }

  expect_failures = [var.topics]
}

run "accounts_have_the_prefix_of_the_stage" {
  command = plan

  variables {
    name = "post-room"
    tasks = {
      report = {
        format      = 2
        name        = "acceptance-report"
        name_prefix = "acceptance-"
        function    = { target = "report" }
        triggers    = { subscriptions = { acceptance-report = { topic = "reports", dead_letter = null } } }
      }
    }
  }

  assert {
    condition     = google_service_account.push[0].account_id == "acceptance-post-room-push"
    error_message = "the account is ${google_service_account.push[0].account_id}"
  }
}

run "a_long_account_gets_a_hash" {
  command = plan

  variables {
    name = "post-room-of-college"
    tasks = {
      report = {
        format      = 2
        name        = "test-report"
        name_prefix = "test-"
        function    = { target = "report" }
        triggers    = { subscriptions = { test-report = { topic = "reports", dead_letter = null } } }
      }
    }
  }

  assert {
    condition     = google_service_account.push[0].account_id == "test-post-roo-${substr(sha256("test-post-room-of-college"), 0, 6)}-push"
    error_message = "the account is ${google_service_account.push[0].account_id}"
  }
}
