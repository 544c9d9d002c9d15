# The databases, queues and buckets of jobs, and each task's grants on them. They belong to the collection and not to a
# task. The plan names them in a task's `jobs`. A bucket, and a named database and a queue of the deployment's own project, are
# made here, unless they are among the `existing`; `(default)`, and databases and queues of other projects, exist elsewhere.

locals {
  databases = { for name, task in var.tasks : name => task.jobs.firestore if try(task.jobs.firestore, null) != null }
  queues    = { for name, task in var.tasks : name => task.jobs.queue if try(task.jobs.queue, null) != null }

  buckets = { for name, task in var.tasks : name => task.jobs.payloads if try(task.jobs.payloads, null) != null }

  existing = flatten([for task in values(var.tasks) : try(task.jobs.existing, [])])

  # Cloud Tasks publishes wakes as the account of the task that creates them, or as one that the tasks share.
  wakes_as = {
    for name in keys(local.queues) : name => try(var.tasks[name].jobs.account, module.task[name].service_accounts.run_time)
  }
  shared_wakes = merge([
    for task in values(var.tasks) : {
      for inbox in try(task.jobs.inboxes, []) : "${task.jobs.account} ${inbox}" => { account = task.jobs.account, inbox = inbox }
    }
  ]...)

  # An object is deleted when no task can need it any more.
  made_buckets = {
    for bucket in setsubtract([for payloads in values(local.buckets) : payloads.bucket], local.existing) :
    bucket => max([for payloads in values(local.buckets) : payloads.days if payloads.bucket == bucket]...)
  }

  made_databases = toset([
    for database in setsubtract(values(local.databases), local.existing) : basename(database)
    if startswith(database, "projects/${var.project}/databases/") && basename(database) != "(default)"
  ])
  made_queues = { for queue in setsubtract(values(local.queues), local.existing) : queue => split("/", queue) if startswith(queue, "projects/${var.project}/") }

  # The store's file, as Firebase's command line reads it.
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))
  indexes = merge([
    for database in local.made_databases : {
      for index in local.firestore.indexes : join(" ", concat([database], [for field in index.fields : field.fieldPath])) => merge(index, { database = database })
    }
  ]...)
  fields = merge([
    for database in local.made_databases : {
      for field in local.firestore.fieldOverrides : "${database} ${field.fieldPath}" => merge({ ttl = false }, field, { database = database })
    }
  ]...)
}

resource "google_firestore_database" "jobs" {
  for_each = local.made_databases

  project     = var.project
  name        = each.value
  location_id = var.region
  type        = "FIRESTORE_NATIVE"

  # Terraform never deletes jobs: it only forgets the database.
  deletion_policy = "ABANDON"

  # A database can't move with the services to another region.
  lifecycle {
    ignore_changes = [location_id]
  }
}

resource "google_firestore_index" "jobs" {
  for_each = local.indexes

  project     = var.project
  database    = google_firestore_database.jobs[each.value.database].name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }

  # A forgotten database keeps what its jobs need.
  deletion_policy = "ABANDON"
}

resource "google_firestore_field" "jobs" {
  for_each = local.fields

  project    = var.project
  database   = google_firestore_database.jobs[each.value.database].name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # No single-field index: writes cost less, and ever-increasing times don't limit their rate.
  index_config {}

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []
    content {}
  }

  deletion_policy = "ABANDON"
}

# The role can be granted on projects only; the condition limits it to the database.
resource "google_project_iam_member" "job_store" {
  for_each = local.databases

  project = split("/", each.value)[1]
  role    = "roles/datastore.user"
  member  = "serviceAccount:${module.task[each.key].service_accounts.run_time}"

  condition {
    title      = "jobs in ${basename(each.value)}"
    expression = "resource.name == \"${each.value}\""
  }
}

# Wakes jobs at their time.
resource "google_cloud_tasks_queue" "jobs" {
  for_each = local.made_queues

  project  = each.value[1]
  location = each.value[3]
  name     = each.value[5]
}

resource "google_cloud_tasks_queue_iam_member" "jobs" {
  for_each = local.queues

  project  = split("/", each.value)[1]
  location = split("/", each.value)[3]
  name     = try(google_cloud_tasks_queue.jobs[each.value].name, basename(each.value))
  role     = "roles/cloudtasks.enqueuer"
  member   = "serviceAccount:${module.task[each.key].service_accounts.run_time}"
}

# Cloud Tasks lets a task use the token of the account only if the task may act as it.
resource "google_service_account_iam_member" "wakes" {
  for_each = local.queues

  service_account_id = "projects/${try(regex("@([^.]+)[.]iam[.]", local.wakes_as[each.key])[0], var.project)}/serviceAccounts/${local.wakes_as[each.key]}"
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${module.task[each.key].service_accounts.run_time}"
}

# The tasks' own accounts may publish to their inboxes anyway.
resource "google_pubsub_topic_iam_member" "wakes" {
  for_each = local.shared_wakes

  project = startswith(each.value.inbox, "projects/") ? split("/", each.value.inbox)[1] : var.project
  topic   = lookup(local.topic_names, each.value.inbox, each.value.inbox)
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${each.value.account}"
}

# Large payloads and results.
resource "google_storage_bucket" "payloads" {
  for_each = local.made_buckets

  project                     = var.project
  name                        = each.key
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Terraform never deletes jobs: it only forgets the bucket.
  deletion_policy = "ABANDON"

  # Objects are removed with their jobs. A lost process may leave one.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = each.value
    }
  }

  # A removed payload is gone at once: it may be personal data, and Google charges for soft-deleted objects.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = local.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  # A bucket can't move with the services to another region.
  lifecycle {
    ignore_changes = [location]
  }
}

resource "google_storage_bucket_iam_member" "payloads" {
  for_each = local.buckets

  bucket = try(google_storage_bucket.payloads[each.value.bucket].name, each.value.bucket)
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${module.task[each.key].service_accounts.run_time}"
}
