# Further roles of the account that the task runs as, each on one resource: those of `roles`, and those of the collector.

locals {
  # By kind of resource: the roles, by role and resource.
  roles = {
    for kind, form in {
      bucket       = "^gs://"
      topic        = "^projects/[^/]+/topics/"
      subscription = "^projects/[^/]+/subscriptions/"
      secret       = "^projects/[^/]+/secrets/"
      dataset      = "^projects/[^/]+/datasets/"
      service      = "^projects/[^/]+/locations/[^/]+/services/"
      job          = "^projects/[^/]+/locations/[^/]+/jobs/"
      queue        = "^projects/[^/]+/locations/[^/]+/queues/"
      key          = "^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/"
      account      = "^projects/[^/]+/serviceAccounts/"
      project      = "^projects/[^/]+$"
    } :
    kind => {
      for grant in distinct(concat(var.function.roles, local.telemetry_roles)) : "${grant.role} on ${grant.on}" => merge(grant, { parts = split("/", grant.on), name = basename(grant.on) })
      if can(regex(form, grant.on))
    }
  }
}

resource "google_storage_bucket_iam_member" "role" {
  for_each = local.roles.bucket

  bucket = each.value.name
  role   = each.value.role
  member = local.run_time_member
}

resource "google_pubsub_topic_iam_member" "role" {
  for_each = local.roles.topic

  project = each.value.parts[1]
  topic   = each.value.name
  role    = each.value.role
  member  = local.run_time_member
}

resource "google_pubsub_subscription_iam_member" "role" {
  for_each = local.roles.subscription

  project      = each.value.parts[1]
  subscription = each.value.name
  role         = each.value.role
  member       = local.run_time_member
}

resource "google_secret_manager_secret_iam_member" "role" {
  for_each = local.roles.secret

  project   = each.value.parts[1]
  secret_id = each.value.name
  role      = each.value.role
  member    = local.run_time_member
}

resource "google_bigquery_dataset_iam_member" "role" {
  for_each = local.roles.dataset

  project    = each.value.parts[1]
  dataset_id = each.value.name
  role       = each.value.role
  member     = local.run_time_member
}

resource "google_cloud_run_v2_service_iam_member" "role" {
  for_each = local.roles.service

  project  = each.value.parts[1]
  location = each.value.parts[3]
  name     = each.value.name
  role     = each.value.role
  member   = local.run_time_member
}

resource "google_cloud_run_v2_job_iam_member" "role" {
  for_each = local.roles.job

  project  = each.value.parts[1]
  location = each.value.parts[3]
  name     = each.value.name
  role     = each.value.role
  member   = local.run_time_member
}

resource "google_cloud_tasks_queue_iam_member" "role" {
  for_each = local.roles.queue

  project  = each.value.parts[1]
  location = each.value.parts[3]
  name     = each.value.name
  role     = each.value.role
  member   = local.run_time_member
}

resource "google_kms_crypto_key_iam_member" "role" {
  for_each = local.roles.key

  crypto_key_id = each.value.on
  role          = each.value.role
  member        = local.run_time_member
}

resource "google_service_account_iam_member" "role" {
  for_each = local.roles.account

  service_account_id = each.value.on
  role               = each.value.role
  member             = local.run_time_member
}

# Roles that exist on projects only.
resource "google_project_iam_member" "role" {
  for_each = local.roles.project

  project = each.value.name
  role    = each.value.role
  member  = local.run_time_member
}
