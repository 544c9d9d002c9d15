# Values computed from the variables, for the resources in the other files.

locals {
  is_service = var.function.run_as == "service"
  is_worker  = var.function.run_as == "worker"
  is_job     = var.function.run_as == "cloud-run-job"

  target = var.function.target == null ? "" : var.function.target

  # For topics and subscriptions; services and Cloud Run jobs have deletion_protection.
  deletion_policy = var.function.deletion_protection ? "PREVENT" : "DELETE"

  # Rules that several validations share.
  name_form   = "^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  topic_form  = "^(projects/[^/]+/topics/)?[A-Za-z][A-Za-z0-9._~+%-]{2,254}$"
  name_rules  = "Names in Pub/Sub have 3 to 255 characters, a letter first, of A-Z a-z 0-9 - _ . ~ + %, and do not begin with goog."
  label_rules = "expected up to 64, with keys of 1 to 63 characters of a-z, 0-9, - and _, a letter first, and values of up to 63 of them."

  # Sizes, as numbers: of the task's container, and of those beside it.
  sizes = [
    for container in concat([{ cpu = var.function.cpu, memory = var.function.memory }], [for sidecar in values(local.sidecars) : { cpu = sidecar.cpu, memory = sidecar.memory }]) : {
      cpus = endswith(container.cpu, "m") ? tonumber(trimsuffix(container.cpu, "m")) / 1000 : tonumber(container.cpu)
      memory_mib = tonumber(regex("^[0-9.]+", container.memory)) * {
        Mi = 1
        Gi = 1024
        M  = 1000000 / 1048576
        G  = 1000000000 / 1048576
      }[regex("[A-Z]i?$", container.memory)]
    }
  ]
  cpus       = local.sizes[0].cpus
  memory_mib = local.sizes[0].memory_mib
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
  # A service or worker that only has schedules gets them through a topic of its own.
  own_subscription = {
    for name in !local.is_job && length(var.triggers.subscriptions) == 0 && length(local.schedules) > 0 ? [var.name] : [] :
    name => {
      existing                  = false
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
    for name, subscription in merge(var.triggers.subscriptions, local.own_subscription) : name => merge(subscription, {
      topic                = subscription.topic == null ? name : subscription.topic
      path                 = subscription.path == null ? "/${local.target}" : subscription.path
      ack_deadline_seconds = subscription.ack_deadline_seconds == null ? min(600, max(10, ceil(var.function.timeout_seconds))) : subscription.ack_deadline_seconds
    })
  }

  # Those that are made here, and those of another owner.
  made_subscriptions     = { for name, subscription in local.subscriptions : name => subscription if !subscription.existing }
  existing_subscriptions = toset([for name, subscription in local.subscriptions : name if subscription.existing])

  has_pushes = local.is_service && length(local.subscriptions) > 0

  made_topics = toset([for subscription in values(local.made_subscriptions) : subscription.topic if subscription.create_topic])

  # For a schedule that names no topic: the topic of the only subscription.
  default_topic = one([for subscription in values(local.made_subscriptions) : subscription.topic if length(local.subscriptions) == 1])

  # Full names, by name. A topic that is made here is named by its resource, so that it is made first; by the resource's
  # name, because its id isn't known before the apply.
  topic_names = {
    for topic in distinct(compact(concat(
      [for subscription in values(local.made_subscriptions) : subscription.topic],
      [for subscription in values(local.subscriptions) : try(subscription.dead_letter.topic, null)],
      [for schedule in values(local.schedules) : schedule.topic],
      var.function.publishes_to,
    ))) :
    topic => (
      startswith(topic, "projects/") ? topic :
      "projects/${var.project}/topics/${contains(local.made_topics, topic) ? google_pubsub_topic.trigger[topic].name : topic}"
    )
  }

  # By subscription: its dead-letter settings, if it has any.
  dead_letters = { for name, subscription in local.subscriptions : name => subscription.dead_letter if subscription.dead_letter != null }

  # Subscriptions whose dead-letter topic is made here.
  own_dead_letters = toset([for name, dead_letter in local.dead_letters : name if dead_letter.topic == null])

  # By subscription: the full name of the dead-letter topic.
  dead_letter_topics = {
    for name, dead_letter in local.dead_letters : name => (
      dead_letter.topic == null ? "projects/${var.project}/topics/${google_pubsub_topic.dead_letter[name].name}" : local.topic_names[dead_letter.topic]
    )
  }

  # By subscription: the name of the subscription that keeps its dead letters, if it is known.
  dead_letter_keepers = {
    for name, dead_letter in local.dead_letters : name => (
      dead_letter.topic == null ? google_pubsub_subscription.dead_letter[name].name : dead_letter.subscription
    ) if dead_letter.topic == null || dead_letter.subscription != null
  }
}

# The container.
locals {
  environment = merge(
    { GOOGLE_CLOUD_PROJECT = var.project },
    var.function.target == null ? {} : { FUNCTION_TARGET = var.function.target },
    local.is_job ? { LONG_RUNNING = "true" } : {},
    local.is_worker ? { UCAM_FAAS_HEALTH_PORT = tostring(local.health_port) } : {},
    # The task has one variable: with several dead-letter topics, it holds that of the first subscription.
    { for topic in slice(values(local.dead_letter_topics), 0, min(1, length(local.dead_letter_topics))) : "UCAM_FAAS_DEAD_LETTER_TOPIC" => topic },
    # At its last attempt the task publishes the dead letter itself. With several subscriptions, the highest number counts.
    length(local.dead_letters) == 0 ? {} : { UCAM_FAAS_MAX_ATTEMPTS = tostring(max(values(local.dead_letters)[*].max_attempts...)) },
    local.telemetry_environment,
    var.function.environment,
  )

  health_port = 8080 # of a worker pool

  # The ladder: the task's timeout <= Pub/Sub's wait <= Cloud Run's timeout. Ten seconds more, so that the task answers
  # 504 and not Cloud Run.
  service_timeout_seconds = min(3600, 10 + max(var.function.timeout_seconds, [for subscription in values(local.subscriptions) : subscription.ack_deadline_seconds]...))

  concurrency = var.concurrency.max_concurrent_functions_per_instance == null ? (local.cpus < 1 ? 1 : 4) : var.concurrency.max_concurrent_functions_per_instance

  # As many as the quotas of a region allow a new project: 20 CPUs, and 2 GiB of memory for each.
  quota_instances = max(1, min(100, floor(20 / sum(local.sizes[*].cpus)), floor(20 * 2048 / sum(local.sizes[*].memory_mib))))
  max_instances   = var.concurrency.max_instances == null ? max(local.quota_instances, var.concurrency.min_instances) : var.concurrency.max_instances

  is_autoscaled = try(var.concurrency.max_instances > var.concurrency.min_instances, false)

  # Less than one CPU, or less memory than the second generation needs.
  needs_first_generation = local.cpus < 1 || local.memory_mib < 512
}
