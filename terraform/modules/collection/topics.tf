# Topics, and the subscriptions that keep dead letters. They belong to the collection and not to a task, so they stay when
# a task is renamed or its dead letters go elsewhere.

locals {
  # Those that are made here, and those that exist elsewhere.
  dead_letter_topics = toset(concat(
    [for name, topic in var.topics : name if topic.dead_letter_subscription != null],
    [for subscription in values(local.subscriptions) : subscription.dead_letter_topic if subscription.dead_letter_topic != null && subscription.is_granted],
  ))

  deletion_policies = { for name, topic in var.topics : name => topic.deletion_protection ? "PREVENT" : "DELETE" }

  kms_keys = distinct([for task in values(var.tasks) : try(task.kms_key, null)])
  kms_key  = length(local.kms_keys) == 1 ? local.kms_keys[0] : null

  # Full names, by name. They come from the resources, so that these are made first: a topic before its subscriptions, and
  # the grant on a dead-letter topic before the subscription that needs it. (With a depends_on, the module would look up
  # the project's number only when it is applied.) They don't come from ids, which aren't known before the apply, or from
  # the grant's topic, which the provider turns into a full name.
  topic_names = {
    for name, topic in google_pubsub_topic.this : name => "projects/${topic.project}/topics/${topic.name}"
  }
  dead_letter_topic_names = {
    for name, grant in google_pubsub_topic_iam_member.dead_letter_agent : name => "projects/${grant.project}/topics/${basename(name)}"
  }
}

resource "google_pubsub_topic" "this" {
  for_each = var.topics

  project         = var.project
  name            = each.key
  labels          = var.labels
  kms_key_name    = each.value.kms_key == null ? local.kms_key : each.value.kms_key
  deletion_policy = local.deletion_policies[each.key]

  message_retention_duration = each.value.retention_seconds == null ? null : "${each.value.retention_seconds}s"

  dynamic "message_storage_policy" {
    for_each = length(each.value.allowed_persistence_regions) > 0 ? [each.value.allowed_persistence_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  dynamic "schema_settings" {
    for_each = each.value.schema == null ? [] : [each.value.schema.encoding]
    content {
      schema   = google_pubsub_schema.this[each.key].id
      encoding = schema_settings.value
    }
  }
}

resource "google_pubsub_schema" "this" {
  for_each = { for name, topic in var.topics : name => topic.schema if topic.schema != null }

  project    = var.project
  name       = each.key
  type       = each.value.type
  definition = each.value.definition

  # The provider doesn't take a schema from a topic that stays, and the topic refuses messages without it.
  deletion_policy = local.deletion_policies[each.key]
}

# Pub/Sub forwards dead letters. Tasks share one grant, so that removing one task doesn't take it from the others.
resource "google_pubsub_topic_iam_member" "dead_letter_agent" {
  for_each = local.dead_letter_topics

  project = startswith(each.value, "projects/") ? split("/", each.value)[1] : var.project
  topic   = try(google_pubsub_topic.this[each.value].name, each.value)
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# People read it, with gcloud pubsub subscriptions pull.
resource "google_pubsub_subscription" "dead_letter" {
  for_each = { for name, topic in var.topics : name => topic.dead_letter_subscription if topic.dead_letter_subscription != null }

  project                    = var.project
  name                       = each.value
  topic                      = local.topic_names[each.key]
  labels                     = var.labels
  ack_deadline_seconds       = 60
  deletion_policy            = local.deletion_policies[each.key]
  message_retention_duration = "2678400s" # 31 days, the most that Pub/Sub has

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "archive" {
  for_each = { for name, topic in var.topics : name => topic.archive if topic.archive != null }

  project                    = var.project
  name                       = "${each.key}-archive"
  topic                      = local.topic_names[each.key]
  labels                     = var.labels
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"
  deletion_policy            = local.deletion_policies[each.key]

  cloud_storage_config {
    bucket                = each.value
    filename_prefix       = "${trimsuffix(each.key, "-dead-letter")}/"
    filename_suffix       = ".avro"
    max_duration          = "300s"
    service_account_email = local.accounts.archive

    avro_config {
      write_metadata = true # attributes, and when and why it failed
    }
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_storage_bucket_iam_member.archive]
}
