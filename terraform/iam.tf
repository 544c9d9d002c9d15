# Accounts and grants. Each grant is on one resource, and none on the project; the README has the same in a table. A
# resource of another project gets its grant there: the provider keeps the project of a full name, and would make the
# grant again each time if this one differed.

locals {
  # An account's id has 6 to 30 characters, and a task's name may have 49: long names are cut and get a hash.
  account_prefix = length(var.name) <= 20 ? var.name : "${trimsuffix(substr(var.name, 0, 13), "-")}-${substr(sha256(var.name), 0, 6)}"

  run_time_email  = var.function.service_account == null ? one(google_service_account.run_time[*].email) : var.function.service_account
  run_time_member = "serviceAccount:${local.run_time_email}"

  # The accounts that Pub/Sub and Cloud Scheduler use: shared ones, or the task's own.
  push_email      = var.accounts == null ? one(google_service_account.push[*].email) : var.accounts.push
  scheduler_email = var.accounts == null ? one(google_service_account.scheduler[*].email) : var.accounts.scheduler
  archive_email   = var.accounts == null ? one(google_service_account.archive[*].email) : var.accounts.archive
  is_scheduled    = local.is_job && length(local.schedules) > 0

  archived = var.dead_letter_archive == null ? toset([]) : local.own_dead_letters

  # Each dead-letter topic once: by subscription if it is made here, otherwise by topic.
  granted_dead_letter_topics = {
    for key, names in { for name, dead_letter in local.dead_letters : (dead_letter.topic == null ? name : dead_letter.topic) => name... } :
    key => local.dead_letter_topics[names[0]]
  }
  agent_dead_letter_topics = {
    for key, topic in local.granted_dead_letter_topics : key => topic
    if alltrue([for name, dead_letter in local.dead_letters : dead_letter.grant if dead_letter.topic == key])
  }
}

# The task runs as this account.
resource "google_service_account" "run_time" {
  count = var.function.service_account == null ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-runtime"
  display_name = "${var.name}: runs the task"
}

resource "google_pubsub_topic_iam_member" "publishes_to" {
  for_each = toset(var.function.publishes_to)

  project = split("/", local.topic_names[each.value])[1]
  topic   = local.topic_names[each.value]
  role    = "roles/pubsub.publisher"
  member  = local.run_time_member
}

# The task itself publishes messages that can never succeed.
resource "google_pubsub_topic_iam_member" "dead_letter_run_time" {
  for_each = local.granted_dead_letter_topics

  project = split("/", each.value)[1]
  topic   = each.value
  role    = "roles/pubsub.publisher"
  member  = local.run_time_member
}

resource "google_secret_manager_secret_iam_member" "run_time" {
  for_each = toset([for secret in values(var.function.secrets) : secret.secret])

  project   = startswith(each.value, "projects/") ? split("/", each.value)[1] : var.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = local.run_time_member
}

# Pub/Sub calls the service as this account.
resource "google_service_account" "push" {
  count = local.has_pushes && var.accounts == null ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-push"
  display_name = "${var.name}: Pub/Sub calls the service"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  count = local.has_pushes ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this[0].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.push_email}"
}

# Pub/Sub signs its calls as the account.
resource "google_service_account_iam_member" "push_token" {
  count = length(google_service_account.push)

  service_account_id = google_service_account.push[0].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent
}

# Pub/Sub forwards dead letters: it publishes them, and acknowledges them on their subscription.
resource "google_pubsub_topic_iam_member" "dead_letter_agent" {
  for_each = local.agent_dead_letter_topics

  project = split("/", each.value)[1]
  topic   = each.value
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter_agent" {
  for_each = local.dead_letters

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent

  # A subscription that is replaced, for another filter say, keeps its name and loses its grants.
  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.push[each.key].id]
  }
}

# A worker pulls.
resource "google_pubsub_subscription_iam_member" "pull" {
  for_each = local.is_worker ? local.made_subscriptions : {}

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.run_time_member

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.push[each.key].id]
  }
}

# When it starts, a worker looks up whether its subscriptions push.
resource "google_pubsub_subscription_iam_member" "look_up" {
  for_each = local.is_worker ? local.made_subscriptions : {}

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.viewer"
  member       = local.run_time_member

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.push[each.key].id]
  }
}

# The same for a subscription that another owner made.
resource "google_pubsub_subscription_iam_member" "existing" {
  for_each = {
    for pair in setproduct(local.is_worker ? local.existing_subscriptions : [], ["subscriber", "viewer"]) :
    join("/", pair) => { subscription = pair[0], role = "roles/pubsub.${pair[1]}" }
  }

  project      = var.project
  subscription = each.value.subscription
  role         = each.value.role
  member       = local.run_time_member
}

# Cloud Scheduler runs the Cloud Run job as this account. It publishes to topics as its own service agent.
resource "google_service_account" "scheduler" {
  count = local.is_scheduled && var.accounts == null ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-scheduler"
  display_name = "${var.name}: Cloud Scheduler runs the job"
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  count = local.is_scheduled ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.this[0].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.scheduler_email}"
}

# Other members that may call the service or run the Cloud Run job.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.is_service ? toset(var.function.invokers) : toset([])

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this[0].name
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_cloud_run_v2_job_iam_member" "invoker" {
  for_each = local.is_job ? toset(var.function.invokers) : toset([])

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.this[0].name
  role     = "roles/run.invoker"
  member   = each.value
}

# Pub/Sub writes dead letters to the bucket as this account. An account that tasks share gets its grants on the bucket
# elsewhere: removing one task must not take them from the others.
resource "google_service_account" "archive" {
  count = length(local.archived) > 0 && var.accounts == null ? 1 : 0

  project      = var.project
  account_id   = "${local.account_prefix}-archive"
  display_name = "${var.name}: Pub/Sub writes dead letters to a bucket"
}

resource "google_service_account_iam_member" "archive_token" {
  count = length(google_service_account.archive)

  service_account_id = google_service_account.archive[0].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_storage_bucket_iam_member" "archive" {
  for_each = length(google_service_account.archive) > 0 ? toset(["roles/storage.objectCreator", "roles/storage.legacyBucketReader"]) : toset([])

  bucket = var.dead_letter_archive
  role   = each.value
  member = "serviceAccount:${google_service_account.archive[0].email}"
}
