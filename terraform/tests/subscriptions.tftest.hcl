# Topics, subscriptions and their policies.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "messages_stay_in_the_regions_that_are_named" {
  command = plan

  variables {
    function                    = { container_image = "image:1" }
    triggers                    = { subscriptions = { orders = { create_topic = true, dead_letter = {} } } }
    allowed_persistence_regions = ["europe-west2"]
    topic_retention_seconds     = 86400
  }

  assert {
    condition = alltrue([
      for topic in [google_pubsub_topic.trigger["orders"], google_pubsub_topic.dead_letter["orders"]] :
      topic.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west2"])
    ])
    error_message = "dead letters stay there, too"
  }

  assert {
    condition     = google_pubsub_topic.trigger["orders"].message_retention_duration == "86400s" && google_pubsub_topic.dead_letter["orders"].message_retention_duration == null
    error_message = "a new subscription can seek back; dead letters have a subscription"
  }
}

run "a_subscription_has_safe_defaults" {
  variables {
    function = { container_image = "image:1", target = "take_order", timeout_seconds = 60 }
    triggers = { subscriptions = { orders = { create_topic = true } } }
  }

  assert {
    condition     = google_pubsub_topic.trigger["orders"].name == "orders" && google_pubsub_subscription.push["orders"].topic == "projects/my-project/topics/orders"
    error_message = "the topic is named after the subscription"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].expiration_policy[0].ttl == ""
    error_message = "it never expires"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].ack_deadline_seconds == 60 && google_pubsub_subscription.push["orders"].message_retention_duration == "604800s"
    error_message = "Pub/Sub waits as long as the task may take, and keeps messages for a week"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].retry_policy[0].minimum_backoff == "10s" && google_pubsub_subscription.push["orders"].retry_policy[0].maximum_backoff == "600s"
    error_message = "retries back off from 10 to 600 seconds"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].push_config[0].push_endpoint == "${google_cloud_run_v2_service.this[0].uri}/take_order"
    error_message = "messages go to the path of the task"
  }

  assert {
    condition = (
      google_pubsub_subscription.push["orders"].push_config[0].oidc_token[0].service_account_email == google_service_account.push[0].email &&
      google_pubsub_subscription.push["orders"].push_config[0].oidc_token[0].audience == google_cloud_run_v2_service.this[0].uri
    )
    error_message = "calls are signed by the push account, for this service"
  }

  assert {
    condition     = length(google_pubsub_subscription.push["orders"].push_config[0].no_wrapper) == 0 && google_pubsub_subscription.push["orders"].enable_message_ordering == false && google_pubsub_subscription.push["orders"].filter == null
    error_message = "messages are wrapped, unordered and not filtered"
  }

  assert {
    condition     = length(google_pubsub_subscription.push["orders"].dead_letter_policy) == 0 && length(google_pubsub_topic.dead_letter) == 0
    error_message = "dead letters are made only where they are asked for"
  }
}

run "a_subscription_is_as_it_is_asked_for" {
  variables {
    function = { container_image = "image:1", timeout_seconds = 60 }
    labels   = { team = "accounts", env = "test" }
    triggers = {
      subscriptions = {
        orders = {
          topic                     = "projects/other/topics/all-orders"
          filter                    = "attributes:kind"
          ordered                   = true
          wrapped                   = false
          path                      = "/take"
          ack_deadline_seconds      = 90
          message_retention_seconds = 86400
          labels                    = { env = "prod" }
          retry                     = { min_backoff_seconds = 0.5, max_backoff_seconds = 30 }
          dead_letter               = { max_attempts = 7 }
        }
      }
    }
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].topic == "projects/other/topics/all-orders" && length(google_pubsub_topic.trigger) == 0
    error_message = "the topic of another project is read, and none is made"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].filter == "attributes:kind" && google_pubsub_subscription.push["orders"].enable_message_ordering
    error_message = "filter and order are set"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].push_config[0].no_wrapper[0].write_metadata && endswith(google_pubsub_subscription.push["orders"].push_config[0].push_endpoint, "/take")
    error_message = "messages come unwrapped, with their metadata, to the path"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].ack_deadline_seconds == 90 && google_pubsub_subscription.push["orders"].message_retention_duration == "86400s" && google_pubsub_subscription.push["orders"].retry_policy[0].minimum_backoff == "0.5s" && google_pubsub_subscription.push["orders"].retry_policy[0].maximum_backoff == "30s"
    error_message = "times are as asked for"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].labels == tomap({ team = "accounts", env = "prod" })
    error_message = "a subscription's labels win over all labels"
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].dead_letter_policy[0].max_delivery_attempts == 7 && google_pubsub_subscription.push["orders"].dead_letter_policy[0].dead_letter_topic == "projects/my-project/topics/orders-dead-letter"
    error_message = "after 7 attempts a message goes to the dead-letter topic"
  }
}

run "dead_letters_have_a_subscription_that_keeps_them" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
  }

  assert {
    condition     = google_pubsub_topic.dead_letter["orders"].name == "orders-dead-letter" && google_pubsub_subscription.dead_letter["orders"].topic == "projects/my-project/topics/orders-dead-letter"
    error_message = "the dead-letter topic has a subscription"
  }

  assert {
    condition     = google_pubsub_subscription.dead_letter["orders"].message_retention_duration == "2678400s" && google_pubsub_subscription.dead_letter["orders"].expiration_policy[0].ttl == ""
    error_message = "it keeps them for 31 days, and never expires"
  }

  assert {
    condition     = length(google_pubsub_subscription.dead_letter["orders"].push_config) == 0 && length(google_pubsub_subscription.dead_letter_archive) == 0
    error_message = "they wait to be pulled, and nowhere else"
  }
}

run "dead_letters_may_go_to_a_topic_that_exists" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = { topic = "projects/other/topics/failed" } } } }
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].dead_letter_policy[0].dead_letter_topic == "projects/other/topics/failed" && length(google_pubsub_topic.dead_letter) == 0 && length(google_pubsub_subscription.dead_letter) == 0
    error_message = "nothing is made for a topic that exists"
  }
}

run "dead_letters_are_archived" {
  variables {
    function            = { container_image = "image:1" }
    triggers            = { subscriptions = { orders = { dead_letter = {} } } }
    dead_letter_archive = "my-bucket"
  }

  assert {
    condition = (
      google_pubsub_subscription.dead_letter_archive["orders"].topic == "projects/my-project/topics/orders-dead-letter" &&
      google_pubsub_subscription.dead_letter_archive["orders"].cloud_storage_config[0].bucket == "my-bucket" &&
      google_pubsub_subscription.dead_letter_archive["orders"].cloud_storage_config[0].service_account_email == google_service_account.archive[0].email &&
      google_pubsub_subscription.dead_letter_archive["orders"].cloud_storage_config[0].avro_config[0].write_metadata &&
      google_pubsub_subscription.dead_letter_archive["orders"].expiration_policy[0].ttl == ""
    )
    error_message = "dead letters are written to the bucket, with their attributes"
  }

  assert {
    condition     = length(google_pubsub_subscription.dead_letter) == 1
    error_message = "they are kept in Pub/Sub, too"
  }
}

run "several_subscriptions_share_a_topic_that_is_made_once" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = {
      subscriptions = {
        orders-new     = { topic = "orders", create_topic = true, filter = "attributes.kind = \"new\"", path = "/new" }
        orders-changed = { topic = "orders", create_topic = true, filter = "attributes.kind = \"changed\"", path = "/changed" }
        refunds        = { topic = "refunds" }
      }
    }
  }

  assert {
    condition     = keys(google_pubsub_topic.trigger) == ["orders"] && length(google_pubsub_subscription.push) == 3
    error_message = "one topic, three subscriptions"
  }
}

run "keys_encrypt_topics_and_container" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { create_topic = true, dead_letter = {} } } }
    kms_key  = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
  }

  assert {
    condition     = google_pubsub_topic.trigger["orders"].kms_key_name == var.kms_key && google_pubsub_topic.dead_letter["orders"].kms_key_name == var.kms_key && google_cloud_run_v2_service.this[0].template[0].encryption_key == var.kms_key
    error_message = "the key is used wherever something is stored"
  }
}

run "topics_and_subscriptions_are_protected_with_the_service" {
  command = plan

  variables {
    function            = { container_image = "image:1" }
    triggers            = { subscriptions = { orders = { create_topic = true, dead_letter = {} } } }
    dead_letter_archive = "my-bucket"
    topic_schema        = { type = "AVRO", definition = "\"string\"", encoding = "JSON" }
  }

  assert {
    condition = alltrue([
      for policy in [
        google_pubsub_topic.trigger["orders"].deletion_policy,
        google_pubsub_schema.trigger["orders"].deletion_policy,
        google_pubsub_topic.dead_letter["orders"].deletion_policy,
        google_pubsub_subscription.push["orders"].deletion_policy,
        google_pubsub_subscription.dead_letter["orders"].deletion_policy,
        google_pubsub_subscription.dead_letter_archive["orders"].deletion_policy,
      ] : policy == "PREVENT"
    ])
    error_message = "messages are not deleted by accident"
  }
}

run "protection_is_off_for_all_or_none" {
  command = plan

  variables {
    function            = { container_image = "image:1", deletion_protection = false }
    triggers            = { subscriptions = { orders = { create_topic = true, dead_letter = {} } } }
    dead_letter_archive = "my-bucket"
    topic_schema        = { type = "AVRO", definition = "\"string\"", encoding = "JSON" }
  }

  assert {
    condition = alltrue([
      for policy in [
        google_pubsub_topic.trigger["orders"].deletion_policy,
        google_pubsub_schema.trigger["orders"].deletion_policy,
        google_pubsub_topic.dead_letter["orders"].deletion_policy,
        google_pubsub_subscription.push["orders"].deletion_policy,
        google_pubsub_subscription.dead_letter["orders"].deletion_policy,
        google_pubsub_subscription.dead_letter_archive["orders"].deletion_policy,
      ] : policy == "DELETE"
    ])
    error_message = "they can be deleted with the service"
  }
}

run "labels_are_everywhere" {
  command = plan

  variables {
    function            = { container_image = "image:1" }
    triggers            = { subscriptions = { orders = { create_topic = true, dead_letter = {} } } }
    dead_letter_archive = "my-bucket"
    labels              = { team = "accounts" }
  }

  assert {
    condition = alltrue([
      for labels in [
        google_cloud_run_v2_service.this[0].labels,
        google_cloud_run_v2_service.this[0].template[0].labels,
        google_pubsub_topic.trigger["orders"].labels,
        google_pubsub_topic.dead_letter["orders"].labels,
        google_pubsub_subscription.push["orders"].labels,
        google_pubsub_subscription.dead_letter["orders"].labels,
        google_pubsub_subscription.dead_letter_archive["orders"].labels,
        google_monitoring_alert_policy.errors[0].user_labels,
        google_monitoring_alert_policy.dead_letter["orders"].user_labels,
        google_monitoring_alert_policy.oldest_message["orders"].user_labels,
      ] : labels == tomap({ team = "accounts" })
    ])
    error_message = "labels are on all that takes labels"
  }
}

run "the_owner_of_an_existing_subscription_sets_its_push" {
  variables {
    function = { container_image = "image:1", target = "take_order" }
    triggers = { subscriptions = { orders-for-us = { existing = true } } }
  }

  assert {
    condition     = length(google_pubsub_subscription.push) + length(google_pubsub_topic.trigger) + length(google_pubsub_subscription_iam_member.existing) == 0
    error_message = "nothing of its owner's is made or changed"
  }

  assert {
    condition = output.push_endpoints == {
      orders-for-us = {
        endpoint = "${google_cloud_run_v2_service.this[0].uri}/take_order"
        audience = google_cloud_run_v2_service.this[0].uri
        account  = google_service_account.push[0].email
      }
    }
    error_message = "its owner learns what to set"
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.push) == 1 && length(google_service_account_iam_member.push_token) == 1
    error_message = "the account may call the service, and Pub/Sub signs as it"
  }
}

run "a_worker_may_pull_an_existing_subscription" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "worker" }
    triggers = { subscriptions = { orders = { existing = true } } }
    alerting = { notification_channels = ["projects/my-project/notificationChannels/1"] }
  }

  assert {
    condition     = length(google_pubsub_subscription.push) == 0 && length(output.push_endpoints) == 0
    error_message = "it isn't made, and doesn't push"
  }

  assert {
    condition     = { for grant in google_pubsub_subscription_iam_member.existing : grant.role => grant.subscription } == { "roles/pubsub.subscriber" = "orders", "roles/pubsub.viewer" = "orders" }
    error_message = "the worker pulls, and looks up whether it pushes"
  }

  assert {
    condition     = contains(keys(google_monitoring_alert_policy.oldest_message), "orders")
    error_message = "messages that wait are noticed"
  }
}

run "an_existing_subscription_keeps_its_owners_settings" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { existing = true, dead_letter = {} } } }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_beside_an_existing_subscription_names_its_topic" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = {
      subscriptions  = { orders = { existing = true } }
      cron_schedules = { nightly = { schedule = "0 3 * * *" } }
    }
  }

  expect_failures = [var.triggers]
}
