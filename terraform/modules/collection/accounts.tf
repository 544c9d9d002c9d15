# The accounts that all tasks share: Pub/Sub and Cloud Scheduler use them. Each is made if a task needs it. A task runs as
# an account of its own.

locals {
  # The plan's prefix of names, so that the accounts of two stages in one project are apart. An account's id has at most 30
  # characters: long names are cut and get a hash.
  name           = "${join("", distinct(compact([for task in values(var.tasks) : try(task.name_prefix, "")])))}${var.name}"
  account_prefix = length(local.name) <= 20 ? local.name : "${trimsuffix(substr(local.name, 0, 13), "-")}-${substr(sha256(local.name), 0, 6)}"

  has_pushes = anytrue([
    for task in values(var.tasks) :
    try(task.function.run_as, "service") == "service" && try(length(task.triggers.subscriptions), 0) + try(length(task.triggers.cron_schedules), 0) > 0
  ])
  has_scheduled_jobs = anytrue([
    for task in values(var.tasks) :
    try(task.function.run_as, "service") == "cloud-run-job" && try(length(task.triggers.cron_schedules), 0) > 0
  ])
  archives = toset(compact(concat(
    [for topic in values(var.topics) : topic.archive],
    [for task in values(var.tasks) : try(task.dead_letter_archive, null)],
  )))

  # Emails. Those for Pub/Sub come from its grants, so that the grants are made before the subscriptions.
  accounts = {
    push      = one([for grant in google_service_account_iam_member.push_token : basename(grant.service_account_id)])
    scheduler = one(google_service_account.scheduler[*].email)
    archive   = one([for grant in google_service_account_iam_member.archive_token : basename(grant.service_account_id)])
  }
}

resource "google_service_account" "push" {
  count = local.has_pushes ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-push"
  display_name = "${local.name}: Pub/Sub calls the services"
}

# Pub/Sub signs its calls as the account.
resource "google_service_account_iam_member" "push_token" {
  count = length(google_service_account.push)

  # Not the account's name, which isn't known before the apply.
  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.push[0].email}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent
}

resource "google_service_account" "scheduler" {
  count = local.has_scheduled_jobs ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-scheduler"
  display_name = "${local.name}: Cloud Scheduler runs the jobs"
}

resource "google_service_account" "archive" {
  count = length(local.archives) > 0 ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-archive"
  display_name = "${local.name}: Pub/Sub writes dead letters to buckets"
}

resource "google_service_account_iam_member" "archive_token" {
  count = length(google_service_account.archive)

  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.archive[0].email}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_storage_bucket_iam_member" "archive" {
  for_each = {
    for pair in setproduct(local.archives, ["roles/storage.objectCreator", "roles/storage.legacyBucketReader"]) :
    join(" ", pair) => { bucket = pair[0], role = pair[1] }
  }

  bucket = each.value.bucket
  role   = each.value.role
  member = "serviceAccount:${google_service_account.archive[0].email}"
}
