# The variables but for function and triggers, which have files of their own. The README's table is made from this file: a
# comment after an attribute is its description.

variable "name" {
  description = "Name of the task in Cloud Run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$", var.name)) && !startswith(var.name, "goog")
    error_message = "name is \"${var.name}\"; expected 1 to 49 characters of a-z, 0-9 and -, beginning with a letter, not with goog, and not ending in -."
  }
}

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project))
    error_message = "project is \"${var.project}\"; expected the id of a project (not its number or its full name): 6 to 30 characters of a-z, 0-9 and -."
  }
}

variable "project_number" {
  description = "Number of the project; it is part of the name of Pub/Sub's service agent. Default: looked up."
  type        = string
  default     = null

  validation {
    condition     = var.project_number == null || can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number is \"${coalesce(var.project_number, "null")}\"; expected digits. Set project to the project's id."
  }
}

variable "region" {
  description = "Region of Cloud Run and Cloud Scheduler."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is \"${var.region}\"; expected a region such as europe-west2."
  }
}

variable "concurrency" {
  description = "Executions and instances at a time."
  nullable    = false
  default     = {}
  type = object({
    max_concurrent_functions_per_instance = optional(number)    # Executions at a time in an instance. Default: 4; 1 with less than one CPU.
    min_instances                         = optional(number, 0) # Instances that are kept warm and cost also when idle; for a worker, their number, unless an autoscaler sets it.
    max_instances                         = optional(number)    # The most instances at a time; for a worker, the most that an autoscaler sets. Default for a service: as many as a new project's quotas of a region allow, 20 CPUs and 40 GiB, and at most 100.
  })

  validation {
    condition     = try(var.concurrency.max_concurrent_functions_per_instance >= 1 && var.concurrency.max_concurrent_functions_per_instance <= 1000 && floor(var.concurrency.max_concurrent_functions_per_instance) == var.concurrency.max_concurrent_functions_per_instance, var.concurrency.max_concurrent_functions_per_instance == null)
    error_message = "concurrency.max_concurrent_functions_per_instance is ${coalesce(var.concurrency.max_concurrent_functions_per_instance, 0)}; Cloud Run accepts 1 to 1000."
  }

  validation {
    condition     = var.concurrency.max_concurrent_functions_per_instance == null || try(local.cpus >= 1 || var.concurrency.max_concurrent_functions_per_instance == 1, true)
    error_message = "concurrency.max_concurrent_functions_per_instance must be 1 with less than one CPU (Cloud Run's rule); function.cpu is \"${var.function.cpu}\"."
  }

  validation {
    condition     = var.concurrency.min_instances >= 0 && floor(var.concurrency.min_instances) == var.concurrency.min_instances
    error_message = "concurrency.min_instances is ${var.concurrency.min_instances}; expected 0 or more."
  }

  validation {
    condition     = try(var.concurrency.max_instances >= 1 && floor(var.concurrency.max_instances) == var.concurrency.max_instances, var.concurrency.max_instances == null)
    error_message = "concurrency.max_instances is ${coalesce(var.concurrency.max_instances, 0)}; expected 1 or more."
  }

  validation {
    condition     = try(var.concurrency.min_instances <= var.concurrency.max_instances, var.concurrency.max_instances == null)
    error_message = "concurrency.min_instances is ${var.concurrency.min_instances}, more than concurrency.max_instances, which is ${coalesce(var.concurrency.max_instances, 0)}."
  }
}

variable "alerting" {
  description = "Alert policies: dead letters, messages that wait too long, errors, schedules that did not run. null: none."
  default     = {}
  type = object({
    notification_channels      = optional(list(string), []) # Notification channels that incidents are sent to: `projects/P/notificationChannels/N`. None: incidents are only listed.
    monitoring_scoping_project = optional(string)           # Project in which the policies are made, with its own notification channels, if it is not the task's. The task's project is in its metrics scope.
    auto_close_seconds         = optional(number, 86400)    # An incident without new data closes after this, such as that of a service that no longer gets requests: 1800 to 604800.
    oldest_message_seconds     = optional(number, 3600)     # A message that waits longer, or for half of its retention, is an incident.
    error_ratio                = optional(number, 0.1)      # A share of 5xx answers above this, in ten minutes, is an incident.
  })

  validation {
    condition     = alltrue([for channel in try(var.alerting.notification_channels, []) : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alerting.notification_channels: expected projects/P/notificationChannels/N; found ${join(", ", try(var.alerting.notification_channels, []))}."
  }

  validation {
    condition     = try(var.alerting.monitoring_scoping_project, null) == null || can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.alerting.monitoring_scoping_project))
    error_message = "alerting.monitoring_scoping_project: expected the id of a project."
  }

  validation {
    condition     = try(var.alerting.oldest_message_seconds > 0, var.alerting == null)
    error_message = "alerting.oldest_message_seconds: expected more than 0."
  }

  validation {
    condition     = try(var.alerting.auto_close_seconds >= 1800 && var.alerting.auto_close_seconds <= 604800 && floor(var.alerting.auto_close_seconds) == var.alerting.auto_close_seconds, var.alerting == null)
    error_message = "alerting.auto_close_seconds: Cloud Monitoring accepts 1800 (half an hour) to 604800 (seven days)."
  }

  validation {
    condition     = try(var.alerting.error_ratio >= 0 && var.alerting.error_ratio < 1, var.alerting == null)
    error_message = "alerting.error_ratio: expected a ratio from 0 to less than 1."
  }
}

variable "accounts" {
  description = "Emails of service accounts that tasks share. The grants on these accounts, and of the archive's account on the bucket, are not made here. null: the task gets its own, with those grants."
  default     = null
  type = object({
    push      = optional(string) # Account that Pub/Sub calls the service as.
    scheduler = optional(string) # Account that Cloud Scheduler runs the Cloud Run job as.
    archive   = optional(string) # Account that dead letters are written to the bucket as.
  })

  validation {
    condition     = alltrue([for email in try(values(var.accounts), []) : email == null || !can(regex("[:[:space:]]", email))])
    error_message = "accounts: expected emails of service accounts, without serviceAccount:; found ${join(", ", compact(try(values(var.accounts), [])))}."
  }

  validation {
    condition     = try(var.accounts.push != null, true) || !local.has_pushes
    error_message = "accounts.push: the task has subscriptions; name the account that Pub/Sub calls the service as."
  }

  validation {
    condition     = try(var.accounts.scheduler != null, true) || !local.is_scheduled
    error_message = "accounts.scheduler: the Cloud Run job has schedules; name the account that Cloud Scheduler runs it as."
  }

  validation {
    condition     = try(var.accounts.archive != null, true) || length(local.archived) == 0
    error_message = "accounts.archive: dead_letter_archive is set; name the account that dead letters are written as."
  }
}

variable "labels" {
  description = "Labels of everything that is made for the task."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.labels) <= 64 && alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels: ${local.label_rules}"
  }
}

variable "kms_key" {
  description = "Customer-managed key that encrypts the container and its topics: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. Cloud Run's and Pub/Sub's service agents must be allowed to use it."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is \"${coalesce(var.kms_key, "null")}\"; expected projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "topic_retention_seconds" {
  description = "How long the topic keeps messages, delivered or not, so that a new subscription can seek back to them. Of the topics with `create_topic`."
  type        = number
  default     = null

  validation {
    condition     = try(var.topic_retention_seconds >= 600 && var.topic_retention_seconds <= 2678400, var.topic_retention_seconds == null)
    error_message = "topic_retention_seconds: Pub/Sub accepts 600 (ten minutes) to 2678400 (31 days)."
  }
}

variable "allowed_persistence_regions" {
  description = "Regions in which Pub/Sub may store the messages of its topics, dead letters among them. Of the topics that this module makes. None: all, or those of an organisation policy."
  type        = list(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for region in var.allowed_persistence_regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "allowed_persistence_regions: expected regions, such as europe-west2; found ${join(", ", var.allowed_persistence_regions)}."
  }
}

variable "topic_schema" {
  description = "Schema that Pub/Sub checks the messages of the task's topic by; it gets the topic's name. Of the topics with `create_topic`."
  default     = null
  type = object({
    type       = string # `AVRO` or `PROTOCOL_BUFFER`.
    definition = string # Definition of the schema, as text. A change is committed as a new revision.
    encoding   = string # Encoding of the messages: `JSON` or `BINARY`.
  })

  validation {
    condition     = try(contains(["AVRO", "PROTOCOL_BUFFER"], var.topic_schema.type) && contains(["JSON", "BINARY"], var.topic_schema.encoding), var.topic_schema == null)
    error_message = "topic_schema: expected the type AVRO or PROTOCOL_BUFFER, and the encoding JSON or BINARY."
  }
}

variable "dead_letter_archive" {
  description = "Name of a bucket that dead letters are also written to, as Avro files. Only those of the dead-letter topics that this module makes."
  type        = string
  default     = null

  validation {
    condition     = var.dead_letter_archive == null || can(regex("^[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]$", var.dead_letter_archive))
    error_message = "dead_letter_archive is \"${coalesce(var.dead_letter_archive, "null")}\"; expected the name of a bucket, without gs://."
  }
}
