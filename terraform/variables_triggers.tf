# What starts the task. The README's table is made from this file: a comment after an attribute is its description.

variable "triggers" {
  description = "Subscriptions and schedules that start the task. The keys are the names of the subscriptions and of the Cloud Scheduler jobs, which are unique in the project. A service with schedules and no subscription gets a topic and a subscription named after the task."
  nullable    = false
  default     = {}
  type = object({
    subscriptions = optional(map(object({                   # Subscriptions: they push to a service, and a worker pulls from them.
      existing                  = optional(bool, false)     # The subscription exists in this project, and its owner sets all but `path`. A worker is granted to pull it; for a service, its owner sets the push of `push_endpoints`.
      topic                     = optional(string)          # Topic whose messages the task gets: a short name in this project, or `projects/P/topics/T`. Default: the name of the subscription.
      create_topic              = optional(bool, false)     # Make the topic. Otherwise it exists.
      filter                    = optional(string)          # Which messages the task gets, by their attributes; the others are acknowledged.
      ordered                   = optional(bool, false)     # Messages with one ordering key come one after the other.
      wrapped                   = optional(bool, true)      # Messages come in Pub/Sub's JSON. False: the data alone, and the rest in headers.
      path                      = optional(string)          # Path of the push. Default: `/TARGET`.
      ack_deadline_seconds      = optional(number)          # How long Pub/Sub waits for the answer. Default: the timeout, and at least 10.
      message_retention_seconds = optional(number, 604800)  # How long the subscription keeps a message.
      labels                    = optional(map(string), {}) # Labels of this subscription.
      retry = optional(object({                             # How often and how soon Pub/Sub delivers a message again: the waits. The attempts are `dead_letter.max_attempts`.
        min_backoff_seconds = optional(number, 10)          # After the first failure.
        max_backoff_seconds = optional(number, 600)         # At most.
      }), {})
      dead_letter = optional(object({       # Dead letters: messages that keep failing. None: a message is delivered until it expires, and is then lost. `{}`: all defaults.
        max_attempts = optional(number, 8)  # Deliveries before it is put aside.
        topic        = optional(string)     # Topic for messages that failed, which exists. Default: `SUBSCRIPTION-dead-letter`, made with a subscription that keeps messages for 31 days.
        subscription = optional(string)     # Name of the subscription that keeps the messages of that existing topic, to be watched by the alert.
        grant        = optional(bool, true) # Let Pub/Sub publish to that existing topic. False: you grant it yourself.
      }))
    })), {})
    cron_schedules = optional(any, {}) # When Cloud Scheduler publishes to the topic, or starts the Cloud Run job. A list of schedules, as 1.0 took it, names them after the task.
    # schedule   = string                      # Five fields: minute, hour, day of month, month, day of week.
    # time_zone  = optional(string, "Etc/UTC") # Time zone of the schedule.
    # paused     = optional(bool, false)       # Made, but not run.
    # data       = optional(string)            # Data of the message, in base64. Default, if there are no attributes: `{}`.
    # attributes = optional(map(string), {})   # Attributes of the message.
    # topic      = optional(string)            # Topic of the message. Default: that of the subscription.
  })

  validation {
    condition     = alltrue([for name in keys(var.triggers.subscriptions) : can(regex(local.name_form, name)) && !startswith(name, "goog")])
    error_message = "triggers.subscriptions: found ${join(", ", keys(var.triggers.subscriptions))}. ${local.name_rules}"
  }

  validation {
    condition = alltrue([
      for name, subscription in var.triggers.subscriptions :
      length(name) <= (var.dead_letter_archive == null ? 243 : 235) if subscription.dead_letter == null ? false : subscription.dead_letter.topic == null
    ])
    error_message = "triggers.subscriptions: a name with dead letters has at most 243 characters, because \"-dead-letter\" is appended, and 235 with dead_letter_archive (\"-dead-letter-archive\")."
  }

  validation {
    condition     = alltrue([for name, subscription in var.triggers.subscriptions : can(regex(local.topic_form, coalesce(subscription.topic, name))) && !startswith(coalesce(subscription.topic, name), "goog")])
    error_message = "triggers.subscriptions.….topic: expected the name of a topic, or projects/P/topics/T; found ${join(", ", [for name, subscription in var.triggers.subscriptions : coalesce(subscription.topic, name)])}. ${local.name_rules}"
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : !startswith(coalesce(subscription.topic, "-"), "projects/") if subscription.create_topic])
    error_message = "triggers.subscriptions.….create_topic: the topic is made in this project, so set topic to its short name."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : length(coalesce(subscription.filter, "-")) <= 256])
    error_message = "triggers.subscriptions.….filter: Pub/Sub accepts up to 256 bytes."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.path == null || can(regex("^/[^[:space:]?#]*$", subscription.path))])
    error_message = "triggers.subscriptions.….path: expected a path that begins with /, such as /count_orders."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.ack_deadline_seconds == null || try(subscription.ack_deadline_seconds >= 10 && subscription.ack_deadline_seconds <= 600 && floor(subscription.ack_deadline_seconds) == subscription.ack_deadline_seconds, false)])
    error_message = "triggers.subscriptions.….ack_deadline_seconds: Pub/Sub accepts whole seconds, 10 to 600."
  }

  validation {
    condition     = var.function.run_as != "service" || length(var.triggers.subscriptions) == 0 || var.function.timeout_seconds <= 600
    error_message = "function.timeout_seconds is ${var.function.timeout_seconds}, but Pub/Sub waits at most 600 seconds for the answer to a push. Make the task faster, let a worker pull (function.run_as = \"worker\"), or run it as a Cloud Run job (\"cloud-run-job\")."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.ack_deadline_seconds == null || try(subscription.ack_deadline_seconds >= min(600, var.function.timeout_seconds), false)])
    error_message = "triggers.subscriptions.….ack_deadline_seconds is less than function.timeout_seconds, which is ${var.function.timeout_seconds}: Pub/Sub would deliver a message again while the task is still running."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.message_retention_seconds >= 600 && subscription.message_retention_seconds <= 2678400])
    error_message = "triggers.subscriptions.….message_retention_seconds: Pub/Sub accepts 600 (ten minutes) to 2678400 (31 days)."
  }

  validation {
    condition = alltrue(flatten([
      for subscription in values(var.triggers.subscriptions) :
      [for seconds in values(subscription.retry) : seconds >= 0 && seconds <= 600]
    ]))
    error_message = "triggers.subscriptions.….retry: Pub/Sub accepts 0 to 600 for min_backoff_seconds and max_backoff_seconds."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.retry.min_backoff_seconds <= subscription.retry.max_backoff_seconds])
    error_message = "triggers.subscriptions.….retry: min_backoff_seconds is more than max_backoff_seconds."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.dead_letter == null || try(subscription.dead_letter.max_attempts >= 5 && subscription.dead_letter.max_attempts <= 100 && floor(subscription.dead_letter.max_attempts) == subscription.dead_letter.max_attempts, false)])
    error_message = "triggers.subscriptions.….dead_letter.max_attempts: Pub/Sub accepts 5 to 100."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : try(subscription.dead_letter.topic, null) == null || try(can(regex(local.topic_form, subscription.dead_letter.topic)) && !startswith(subscription.dead_letter.topic, "goog"), false)])
    error_message = "triggers.subscriptions.….dead_letter.topic: expected the name of a topic, or projects/P/topics/T. ${local.name_rules}"
  }

  validation {
    condition = alltrue([
      for name, subscription in var.triggers.subscriptions :
      try(subscription.dead_letter.topic, null) == null || try(subscription.dead_letter.topic != coalesce(subscription.topic, name), false)
    ])
    error_message = "triggers.subscriptions.….dead_letter.topic is the topic that the subscription reads: a failing message would come back again and again."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : try(subscription.dead_letter.topic, null) != null || try(subscription.dead_letter.subscription, null) == null && try(subscription.dead_letter.grant, true)])
    error_message = "triggers.subscriptions.….dead_letter: subscription and grant are for an existing topic; set topic, or leave them out."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : alltrue([for key, value in subscription.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])])
    error_message = "triggers.subscriptions.….labels: ${local.label_rules}"
  }

  validation {
    condition = alltrue([
      for subscription in values(var.triggers.subscriptions) :
      subscription.topic == null && !subscription.create_topic && subscription.filter == null && !subscription.ordered && subscription.wrapped &&
      subscription.ack_deadline_seconds == null && subscription.message_retention_seconds == 604800 && length(subscription.labels) == 0 &&
      subscription.retry.min_backoff_seconds == 10 && subscription.retry.max_backoff_seconds == 600 && subscription.dead_letter == null
      if subscription.existing
    ])
    error_message = "triggers.subscriptions.….existing: the owner of ${join(", ", [for name, subscription in var.triggers.subscriptions : name if subscription.existing])} sets its topic, filter, ordering, deadline, retention, labels, retries and dead letters. Leave them out, or leave out existing."
  }

  validation {
    condition     = !anytrue(values(var.triggers.subscriptions)[*].existing) || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) != null]), true)
    error_message = "triggers.cron_schedules.….topic: the topic of an existing subscription isn't known here; name the topic to which the schedule publishes."
  }

  validation {
    condition     = var.function.run_as != "cloud-run-job" || length(var.triggers.subscriptions) == 0
    error_message = "triggers.subscriptions: Pub/Sub cannot push messages to a Cloud Run job (function.run_as)."
  }

  # The checks of a type: it can't be a map of objects and a list.
  validation {
    condition = try(alltrue([
      for schedule in var.triggers.cron_schedules : can(tostring(schedule)) ? true : (
        length(setsubtract(keys(schedule), ["schedule", "time_zone", "paused", "data", "attributes", "topic"])) == 0 &&
        alltrue([for text in [schedule.schedule, try(schedule.time_zone, null), try(schedule.data, null), try(schedule.topic, null)] : can(tostring(text))]) &&
        can(tobool(try(schedule.paused, null))) &&
        (try(schedule.attributes, null) == null ? true : can({ for key, value in schedule.attributes : key => tostring(value) }))
      )
    ]), false)
    error_message = "triggers.cron_schedules: expected objects by name, each with a schedule, and optionally time_zone, paused (true or false), data, attributes (texts by name) and topic; or a list of schedules, such as [\"0 3 * * *\"]."
  }

  validation {
    condition     = try(alltrue([for name, _ in var.triggers.cron_schedules : can(regex("^[a-zA-Z0-9_-]{1,500}$", tostring(name)))]), true)
    error_message = "triggers.cron_schedules: found ${try(join(", ", [for name, _ in var.triggers.cron_schedules : name]), "none")}; names of Cloud Scheduler jobs have letters, digits, - and _."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : can(regex("^[-0-9A-Za-z*,/]+( +[-0-9A-Za-z*,/]+){4}$", try(schedule.schedule, schedule)))]), true)
    error_message = "triggers.cron_schedules.….schedule: expected five fields (minute, hour, day of month, month, day of week), such as \"0 3 * * *\"; found ${try(join(" | ", [for schedule in var.triggers.cron_schedules : coalesce(tostring(try(schedule.schedule, schedule)))]), "none")}."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.time_zone, null) == null || can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", schedule.time_zone))]), true)
    error_message = "triggers.cron_schedules.….time_zone: expected a name of the tz database, such as Europe/London; found ${try(join(" | ", [for schedule in var.triggers.cron_schedules : try(coalesce(tostring(schedule.time_zone)), "Etc/UTC")]), "none")}."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.data, null) == null || can(regex("^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", schedule.data))]), true)
    error_message = "triggers.cron_schedules.….data: expected base64, such as base64encode(\"{}\")."
  }

  validation {
    condition = try(alltrue([
      for schedule in var.triggers.cron_schedules : try(length(schedule.attributes), 0) <= 100 && alltrue([
        for key, value in try(schedule.attributes, null) == null ? {} : schedule.attributes : length(key) >= 1 && length(key) <= 256 && length(value) <= 1024 && !startswith(key, "goog")
      ])
    ]), true)
    error_message = "triggers.cron_schedules.….attributes: Pub/Sub accepts up to 100, with keys of 1 to 256 bytes that do not begin with goog, and values of up to 1024 bytes."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) == null || try(can(regex(local.topic_form, schedule.topic)) && !startswith(schedule.topic, "goog"), false)]), true)
    error_message = "triggers.cron_schedules.….topic: expected the name of a topic, or projects/P/topics/T. ${local.name_rules}"
  }

  # Cloud Scheduler publishes to topics of its own project only.
  validation {
    condition = var.function.run_as == "cloud-run-job" || try(alltrue([
      for schedule in var.triggers.cron_schedules : alltrue([
        for topic in [try(coalesce(schedule.topic), one([for name, subscription in var.triggers.subscriptions : coalesce(subscription.topic, name)]), "")] :
        !startswith(topic, "projects/") || startswith(topic, "projects/${var.project}/")
      ])
    ]), true)
    error_message = "triggers.cron_schedules: Cloud Scheduler publishes to topics of its own project, ${var.project}, only. Give the schedule to a second task, with a topic of this project."
  }

  validation {
    condition     = length(var.triggers.subscriptions) <= 1 || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) != null]), true)
    error_message = "triggers.cron_schedules.….topic: with several subscriptions, name the topic to which the schedule publishes."
  }

  validation {
    condition     = var.function.run_as == "cloud-run-job" || length(var.triggers.subscriptions) > 0 || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) == null]), true)
    error_message = "triggers.cron_schedules.….topic: no task reads that topic; give the task a subscription to it in triggers.subscriptions."
  }

  validation {
    condition     = var.function.run_as != "cloud-run-job" || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.data, null) == null && try(schedule.topic, null) == null && try(length(schedule.attributes), 0) == 0]), true)
    error_message = "triggers.cron_schedules: a schedule starts a Cloud Run job (function.run_as) without a message; leave out data, attributes and topic."
  }

  validation {
    condition     = var.function.run_as == "cloud-run-job" || try(length(var.triggers.cron_schedules), 0) == 0 || length(var.triggers.subscriptions) > 0 || length(var.name) >= 3
    error_message = "name is \"${var.name}\", too short for the topic and the subscription of its schedules (at least 3 characters). Name them in triggers.subscriptions."
  }

  validation {
    condition     = var.function.run_as != "service" || try(length(var.triggers.cron_schedules), 0) == 0 || length(var.triggers.subscriptions) > 0 || var.function.timeout_seconds <= 600
    error_message = "function.timeout_seconds is ${var.function.timeout_seconds}, but schedules use Pub/Sub, which waits at most 600 seconds. Make the task faster, let a worker pull (function.run_as = \"worker\"), or run it as a Cloud Run job (\"cloud-run-job\")."
  }
}
