# The README's table is made from this file: a comment after an attribute is its description.

variable "project" {
  description = "Id of the project in which everything is made."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project))
    error_message = "project is \"${var.project}\"; expected the id of a project (not its number or its full name): 6 to 30 characters of a-z, 0-9 and -."
  }
}

variable "project_number" {
  description = "Number of the project, of which the name of Pub/Sub's service agent is made. Looked up if it is not given."
  type        = string
  default     = null
}

variable "region" {
  description = "Region of Cloud Run and Cloud Scheduler."
  type        = string
  nullable    = false
}

variable "container_image" {
  description = "Image that holds the tasks. It changes with each release, and is not in the plan's file."
  type        = string
  nullable    = false
}

variable "labels" {
  description = "Labels of everything that takes labels, beside those of each task."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "topics" {
  description = "Topics to make, by their short names."
  nullable    = false
  default     = {}
  type = map(object({
    dead_letters        = optional(bool, false) # It gets dead letters: make the subscription `TOPIC-kept`, which keeps them for 31 days.
    deletion_protection = optional(bool, true)  # Terraform refuses to delete the topic and the subscription that keeps its messages.
    kms_key             = optional(string)      # Cloud KMS key to encrypt it with. Default: that of the tasks, if they all have the same.
  }))

  validation {
    condition     = alltrue([for name in keys(var.topics) : can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", name)) && !startswith(name, "goog")])
    error_message = "topics: found ${join(", ", keys(var.topics))}. Names in Pub/Sub have 3 to 255 characters, a letter first, of A-Z a-z 0-9 - _ . ~ + %, and do not begin with goog."
  }
}

variable "tasks" {
  description = "The tasks: by name in the code, the arguments of the module for one task (`name`, `function`, `concurrency`, `triggers`, `alerting`, `labels`, `kms_key`, `dead_letter_archive`), but for those above. Topics are short names of `topics`, or `projects/P/topics/T`. The other attributes of a task in the plan's file are ignored."
  type        = any # the module for one task has the types
  nullable    = false

  validation {
    condition     = alltrue([for task in values(var.tasks) : can(task.name) && can(task.function)])
    error_message = "tasks: each task has a name and a function; see the module for one task."
  }

  # No type would refuse these: Terraform drops attributes that a type does not have.
  validation {
    condition = length(setsubtract(
      flatten([for task in values(var.tasks) : try(keys(task), [])]),
      ["name", "summary", "function", "concurrency", "triggers", "alerting", "labels", "kms_key", "dead_letter_archive", "payload"]
    )) == 0
    error_message = "tasks: ${join(", ", distinct(flatten([for task in values(var.tasks) : try(keys(task), [])])))}: expected name, summary, function, concurrency, triggers, alerting, labels, kms_key, dead_letter_archive and payload."
  }

  validation {
    condition     = length(distinct([for task in values(var.tasks) : try(task.name, "")])) == length(var.tasks)
    error_message = "tasks: two of them have the same name: ${join(", ", sort([for task in values(var.tasks) : try(task.name, "?")]))}."
  }

  validation {
    condition     = length(distinct(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]]))) == length(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]]))
    error_message = "tasks: two subscriptions have the same name: ${join(", ", sort(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]])))}."
  }

  validation {
    condition     = length(distinct(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]]))) == length(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]]))
    error_message = "tasks: two schedules have the same name: ${join(", ", sort(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]])))}."
  }
}
