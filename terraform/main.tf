# Values computed from the variables. service.tf, job.tf, pubsub.tf, scheduler.tf, iam.tf and alerts.tf make it.

locals {
  is_service = var.function.run_as == "service"
  is_job     = var.function.run_as == "job"

  target = var.function.target == null ? "" : var.function.target

  # Of topics and subscriptions; services and jobs have deletion_protection.
  deletion_policy = var.function.deletion_protection ? "PREVENT" : "DELETE"

  # Rules that several validations share.
  name_form   = "^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  topic_form  = "^(projects/[^/]+/topics/)?[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  name_rules  = "Names in Pub/Sub have 3 to 255 characters, a letter first, of A-Z a-z 0-9 - _ . ~ + %, and do not begin with goog."
  label_rules = "expected up to 64, with keys of 1 to 63 characters of a-z, 0-9, - and _, a letter first, and values of up to 63 of them."

  # Sizes, as numbers.
  cpus = endswith(var.function.cpu, "m") ? tonumber(trimsuffix(var.function.cpu, "m")) / 1000 : tonumber(var.function.cpu)
  memory_mib = tonumber(regex("^[0-9.]+", var.function.memory)) * {
    Mi = 1
    Gi = 1024
    M  = 1000000 / 1048576
    G  = 1000000000 / 1048576
  }[regex("[A-Z]i?$", var.function.memory)]
}

# Pub/Sub's service agent has the number of the project in its name.
data "google_project" "this" {
  count = var.project_number == null ? 1 : 0

  project_id = var.project
}

locals {
  project_number = var.project_number == null ? one(data.google_project.this[*].number) : var.project_number
  pubsub_agent   = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# Topics and subscriptions.
locals {
  # A service that only has schedules: they come through a topic of its own.
  own_subscription = {
    for name in local.is_service && length(var.triggers.subscriptions) == 0 && length(local.schedules) > 0 ? [var.name] : [] :
    name => {
      topic                     = name
      create_topic              = true
      filter                    = null
      ordered                   = false
      wrapped                   = true
      path                      = null
      ack_deadline_seconds      = null
      message_retention_seconds = 604800
      labels                    = {}
      retry                     = { min_backoff_seconds = 10, max_backoff_seconds = 600 }
      dead_letter               = { max_attempts = 8, topic = null, subscription = null, grant = true }
    }
  }

  subscriptions = {
    for name, found in merge(var.triggers.subscriptions, local.own_subscription) : name => merge(found, {
      topic                = found.topic == null ? name : found.topic
      path                 = found.path == null ? "/${local.target}" : found.path
      ack_deadline_seconds = found.ack_deadline_seconds == null ? max(10, ceil(var.function.timeout_seconds)) : found.ack_deadline_seconds
    })
  }
  has_pushes = length(local.subscriptions) > 0

  made_topics = toset([for found in values(local.subscriptions) : found.topic if found.create_topic])

  # The topic of a schedule without one: there is one subscription then.
  default_topic = one([for found in values(local.subscriptions) : found.topic if length(local.subscriptions) == 1])

  # Full names. Those of topics that are made here are taken from the resource, so that it is made first;
  # from its name and not its id, which is not known before.
  topic_names = {
    for topic in distinct(compact(concat(
      [for found in values(local.subscriptions) : found.topic],
      [for found in values(local.subscriptions) : try(found.dead_letter.topic, null)],
      [for found in values(local.schedules) : found.topic],
      var.function.publishes_to,
    ))) :
    topic => (
      startswith(topic, "projects/") ? topic :
      "projects/${var.project}/topics/${contains(local.made_topics, topic) ? google_pubsub_topic.trigger[topic].name : topic}"
    )
  }

  # By subscription: its dead letters, if they have a place.
  dead_letters = { for name, found in local.subscriptions : name => found.dead_letter if found.dead_letter != null }

  # Those whose place is made here.
  own_dead_letters = toset([for name, found in local.dead_letters : name if found.topic == null])

  # By subscription: the full name of the dead-letter topic.
  dead_letter_topics = {
    for name, found in local.dead_letters : name => (
      found.topic == null ? "projects/${var.project}/topics/${google_pubsub_topic.dead_letter[name].name}" : local.topic_names[found.topic]
    )
  }

  # By subscription: the name of the one that keeps its dead letters, as far as it is known.
  dead_letter_keepers = {
    for name, found in local.dead_letters : name => (
      found.topic == null ? google_pubsub_subscription.dead_letter[name].name : found.subscription
    ) if found.topic == null || found.subscription != null
  }
}

# The container.
locals {
  environment = merge(
    { GOOGLE_CLOUD_PROJECT = var.project },
    var.function.target == null ? {} : { FUNCTION_TARGET = var.function.target },
    local.is_job ? { LONG_RUNNING = "true" } : {},
    # One variable for the whole task: with several dead-letter topics, that of the first subscription.
    { for topic in slice(values(local.dead_letter_topics), 0, min(1, length(local.dead_letter_topics))) : "UCAM_FAAS_DEAD_LETTER_TOPIC" => topic },
    # At its last attempt the task puts a message there itself. With several subscriptions, the most that one has.
    length(local.dead_letters) == 0 ? {} : { UCAM_FAAS_MAX_ATTEMPTS = tostring(max(values(local.dead_letters)[*].max_attempts...)) },
    var.function.environment,
  )

  # The ladder: what the task gives itself <= what Pub/Sub waits <= what Cloud Run waits. Ten seconds more, so
  # that it is the task that answers 504 and not Cloud Run.
  service_timeout_seconds = min(3600, 10 + max(var.function.timeout_seconds, [for found in values(local.subscriptions) : found.ack_deadline_seconds]...))

  concurrency = var.concurrency.max_concurrent_functions_per_instance == null ? (local.cpus < 1 ? 1 : 4) : var.concurrency.max_concurrent_functions_per_instance

  # As many as the quotas of a region allow a new project: 20 CPUs, and 2 GiB of memory for each.
  quota_instances = max(1, min(100, floor(20 / local.cpus), floor(20 * 2048 / local.memory_mib)))
  max_instances   = var.concurrency.max_instances == null ? max(local.quota_instances, var.concurrency.min_instances) : var.concurrency.max_instances

  # Less than one CPU, or less memory than the second generation needs.
  needs_first_generation = local.cpus < 1 || local.memory_mib < 512
}
