# Topics, subscriptions and dead letters.

resource "google_pubsub_topic" "trigger" {
  for_each = local.made_topics

  project         = var.project
  name            = each.value
  labels          = var.labels
  kms_key_name    = var.kms_key
  deletion_policy = local.deletion_policy

  message_retention_duration = var.topic_retention_seconds == null ? null : "${var.topic_retention_seconds}s"

  dynamic "message_storage_policy" {
    for_each = length(var.allowed_persistence_regions) > 0 ? [var.allowed_persistence_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  dynamic "schema_settings" {
    for_each = var.topic_schema == null ? [] : [var.topic_schema.encoding]
    content {
      schema   = google_pubsub_schema.trigger[each.key].id
      encoding = schema_settings.value
    }
  }
}

resource "google_pubsub_schema" "trigger" {
  for_each = var.topic_schema == null ? toset([]) : local.made_topics

  project    = var.project
  name       = each.value
  type       = var.topic_schema.type
  definition = var.topic_schema.definition

  # The provider doesn't take a schema from a topic that stays (README), and the topic refuses messages without it.
  deletion_policy = local.deletion_policy
}

# It pushes to a service; a worker pulls from it. One becomes the other in place.
resource "google_pubsub_subscription" "push" {
  for_each = local.made_subscriptions

  project                    = var.project
  name                       = each.key
  topic                      = local.topic_names[each.value.topic]
  filter                     = each.value.filter
  labels                     = merge(var.labels, each.value.labels)
  enable_message_ordering    = each.value.ordered
  ack_deadline_seconds       = each.value.ack_deadline_seconds
  message_retention_duration = "${each.value.message_retention_seconds}s"
  deletion_policy            = local.deletion_policy

  dynamic "push_config" {
    for_each = local.is_service ? [google_cloud_run_v2_service.this[0].uri] : []
    content {
      push_endpoint = "${push_config.value}${each.value.path}"

      oidc_token {
        service_account_email = local.push_email
        audience              = push_config.value
      }

      dynamic "no_wrapper" {
        for_each = each.value.wrapped ? [] : [true]
        content {
          write_metadata = true
        }
      }
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.retry.min_backoff_seconds}s"
    maximum_backoff = "${each.value.retry.max_backoff_seconds}s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.dead_letter[*]
    content {
      dead_letter_topic     = local.dead_letter_topics[each.key]
      max_delivery_attempts = dead_letter_policy.value.max_attempts
    }
  }

  # Never expire: Pub/Sub would otherwise delete the subscription after 31 days without a message.
  expiration_policy {
    ttl = ""
  }

  # Without the grants Pub/Sub couldn't deliver the first messages or forward the first dead letters. The subscription
  # that keeps dead letters comes first, too: a topic without a subscription loses messages.
  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_service_account_iam_member.push_token,
    google_pubsub_topic_iam_member.dead_letter_agent,
    google_pubsub_subscription.dead_letter,
  ]
}

resource "google_pubsub_topic" "dead_letter" {
  for_each = local.own_dead_letters

  project         = var.project
  name            = "${each.value}-dead-letter"
  labels          = var.labels
  kms_key_name    = var.kms_key
  deletion_policy = local.deletion_policy

  dynamic "message_storage_policy" {
    for_each = length(var.allowed_persistence_regions) > 0 ? [var.allowed_persistence_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }
}

# People read it, with gcloud pubsub subscriptions pull.
resource "google_pubsub_subscription" "dead_letter" {
  for_each = local.own_dead_letters

  project                    = var.project
  name                       = "${each.value}-dead-letter"
  topic                      = local.dead_letter_topics[each.value]
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the most that Pub/Sub has
  deletion_policy            = local.deletion_policy

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "dead_letter_archive" {
  for_each = local.archived

  project                    = var.project
  name                       = "${each.value}-dead-letter-archive"
  topic                      = local.dead_letter_topics[each.value]
  labels                     = var.labels
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"
  deletion_policy            = local.deletion_policy

  cloud_storage_config {
    bucket                = var.dead_letter_archive
    filename_prefix       = "${each.value}/"
    filename_suffix       = ".avro"
    max_duration          = "300s"
    service_account_email = local.archive_email

    avro_config {
      write_metadata = true # attributes, and when and why it failed
    }
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [
    google_service_account_iam_member.archive_token,
    google_storage_bucket_iam_member.archive,
  ]
}
