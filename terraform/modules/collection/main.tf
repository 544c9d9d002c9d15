# The tasks of a collection, and the topics that they share. `ucam-faas plan` writes the variables.

data "google_project" "this" {
  count = var.project_number == null ? 1 : 0

  project_id = var.project
}

locals {
  project_number = var.project_number == null ? one(data.google_project.this[*].number) : var.project_number

  # Topics that this module makes for dead letters.
  dead_letter_topics = toset([
    for topic in concat(
      [for name, topic in var.topics : name if topic.dead_letters],
      flatten([for task in values(var.tasks) : [for found in values(try(task.triggers.subscriptions, {})) : try(found.dead_letter.topic, null)]]),
    ) : topic if topic == null ? false : contains(keys(var.topics), topic)
  ])

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
    for name, grant in google_pubsub_topic_iam_member.dead_letter_agent : name => "projects/${grant.project}/topics/${name}"
  }
}

resource "google_pubsub_topic" "this" {
  for_each = var.topics

  project      = var.project
  name         = each.key
  labels       = var.labels
  kms_key_name = each.value.kms_key == null ? local.kms_key : each.value.kms_key

  deletion_policy = local.deletion_policies[each.key]
}

# Pub/Sub forwards dead letters. One grant for all tasks, so that the end of one task does not take it from others.
resource "google_pubsub_topic_iam_member" "dead_letter_agent" {
  for_each = local.dead_letter_topics

  project = var.project
  topic   = google_pubsub_topic.this[each.value].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription" "dead_letter" {
  for_each = toset([for name, topic in var.topics : name if topic.dead_letters])

  project                    = var.project
  name                       = "${each.value}-kept"
  topic                      = local.topic_names[each.value]
  labels                     = var.labels
  ack_deadline_seconds       = 60
  deletion_policy            = local.deletion_policies[each.key]
  message_retention_duration = "2678400s" # 31 days, the most that Pub/Sub has

  expiration_policy {
    ttl = ""
  }
}

module "task" {
  source   = "../.."
  for_each = var.tasks

  project        = var.project
  project_number = local.project_number
  region         = var.region

  name                = each.value.name
  concurrency         = try(each.value.concurrency, null)
  alerting            = try(each.value.alerting, null)
  labels              = merge(var.labels, try(each.value.labels, {}))
  kms_key             = try(each.value.kms_key, null)
  dead_letter_archive = try(each.value.dead_letter_archive, null)

  function = merge(each.value.function, {
    container_image = var.container_image
    publishes_to    = [for topic in coalesce(try(each.value.function.publishes_to, null), []) : lookup(local.topic_names, topic, topic)]
  })

  triggers = {
    subscriptions = {
      for name, found in coalesce(try(each.value.triggers.subscriptions, null), {}) : name => merge(found, {
        topic = try(local.topic_names[try(found.topic, name)], found.topic, name)
        dead_letter = try(found.dead_letter.topic, null) == null ? try(found.dead_letter, null) : merge(found.dead_letter, {
          topic        = lookup(local.dead_letter_topic_names, found.dead_letter.topic, found.dead_letter.topic)
          subscription = try(google_pubsub_subscription.dead_letter[found.dead_letter.topic].name, found.dead_letter.subscription, null)
          grant        = contains(keys(local.dead_letter_topic_names), found.dead_letter.topic) ? false : try(found.dead_letter.grant, true)
        })
      })
    }
    cron_schedules = {
      for name, found in coalesce(try(each.value.triggers.cron_schedules, null), {}) : name => merge(found, {
        topic = try(local.topic_names[found.topic], found.topic, null)
      })
    }
  }
}
