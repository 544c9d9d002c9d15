# The tasks of a collection. topics.tf and accounts.tf make the things that they share. `ucam-faas plan` writes the
# variables.

data "google_project" "this" {
  count = var.project_number == null ? 1 : 0

  project_id = var.project
}

locals {
  project_number = var.project_number == null ? one(data.google_project.this[*].number) : var.project_number
  pubsub_agent   = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # By task. Without coalesce: of subscriptions or schedules of different types, such as those with and without dead
  # letters, it drops all.
  subscriptions_of = { for task, arguments in var.tasks : task => try({ for name, subscription in arguments.triggers.subscriptions : name => subscription }, {}) }
  schedules_of     = { for task, arguments in var.tasks : task => try({ for name, schedule in arguments.triggers.cron_schedules : name => schedule }, {}) }

  # By name: the dead-letter topic of each subscription.
  subscriptions = merge([
    for subscriptions in values(local.subscriptions_of) : {
      for name, subscription in subscriptions : name => {
        dead_letter_topic = try(subscription.dead_letter.topic, null)
        is_granted        = try(subscription.dead_letter.grant, true)
      }
    }
  ]...)
}

module "task" {
  source   = "../.."
  for_each = var.tasks

  project        = var.project
  project_number = local.project_number
  region         = var.region
  accounts       = local.accounts

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
      for name, subscription in local.subscriptions_of[each.key] : name => merge(subscription, {
        topic = try(subscription.existing, false) ? null : try(local.topic_names[try(subscription.topic, name)], subscription.topic, name)
        dead_letter = try(subscription.dead_letter.topic, null) == null ? try(subscription.dead_letter, null) : merge(subscription.dead_letter, {
          topic        = lookup(local.dead_letter_topic_names, subscription.dead_letter.topic, subscription.dead_letter.topic)
          subscription = try(google_pubsub_subscription.dead_letter[subscription.dead_letter.topic].name, subscription.dead_letter.subscription, null)
          grant        = false # made here
        })
      })
    }
    cron_schedules = {
      for name, schedule in local.schedules_of[each.key] : name => merge(schedule, {
        topic = try(local.topic_names[schedule.topic], schedule.topic, null)
      })
    }
  }
}
