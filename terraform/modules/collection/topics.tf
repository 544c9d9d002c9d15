# Topics, and the subscriptions that keep dead letters. They belong to the collection and not to a task: a task that is
# renamed, or whose dead letters go elsewhere, takes none with it.

locals {
  # By topic: of those that are made here, and of those that exist elsewhere.
  dead_letter_topics = toset(concat(
    [for name, topic in var.topics : name if topic.dead_letter_subscription != null],
    [for found in values(local.subscriptions) : found.dead_letter_topic if found.dead_letter_topic != null && found.is_granted],
  ))

  deletion_policies = { for name, topic in var.topics : name => topic.deletion_protection ? "PREVENT" : "DELETE" }

  kms_keys = distinct([for task in values(var.tasks) : try(task.kms_key, null)])
  kms_key  = length(local.kms_keys) == 1 ? local.kms_keys[0] : null

  # Full names, by short name. Taken from the resources, so that they are made first: a topic before who uses it,
  # and the grant on a dead-letter topic before the subscription that needs it. (A depends_on of the module would
  # put off what it looks up.) Not from their ids, which are not known before, and not from the grant's topic, which
  # the provider turns into a full name.
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
}

# Pub/Sub forwards dead letters. One grant for all tasks, so that the end of one task does not take it from others.
resource "google_pubsub_topic_iam_member" "dead_letter_agent" {
  for_each = local.dead_letter_topics

  project = startswith(each.value, "projects/") ? split("/", each.value)[1] : var.project
  topic   = try(google_pubsub_topic.this[each.value].name, each.value)
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# To be read by a person: gcloud pubsub subscriptions pull.
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
